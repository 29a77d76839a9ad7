"""The frame of a service's life: read settings, run until told to stop, say why it ended.

Exit code 0 after SIGTERM or SIGINT, 2 for a setting that is wrong, 1 for everything else.
"""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

import structlog
import uvloop

from servicekit.errors import ServiceError, SettingsError, StopRequested
from servicekit.logs import configure_logging
from servicekit.resting import tidy_at_rest
from servicekit.settings import ServiceSettings, read_settings

log = structlog.get_logger()

YOUNG_OBJECTS: Final = 10_000


async def raise_on_signal() -> NoReturn:
    """Raise `StopRequested` when SIGTERM or SIGINT arrives: the one way out of the task group."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, arrived.set)
    await arrived.wait()
    raise StopRequested


@contextmanager
def stop_absorbed() -> Iterator[None]:
    """Let a requested stop end the body as if it had returned."""
    try:
        yield
    except* StopRequested:
        log.info("service.stopped")


def run_service[S: ServiceSettings](
    name: str, kind: type[S], service: Callable[[S], Awaitable[None]]
) -> NoReturn:
    """Run a service with the settings of its environment, and leave the process."""
    _set_limits()
    try:
        settings = read_settings(kind)
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(2)
    configure_logging(name, settings.log_level, settings.log_format)

    async def life() -> None:
        tidy_at_rest(asyncio.get_running_loop())
        await service(settings)

    _spare_the_collector()
    try:
        uvloop.run(life())
    except ServiceError as error:
        log.error("service.failed", reason=str(error))  # noqa: TRY400 - one line for the user; no traceback for a known reason
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    except BaseExceptionGroup as group:
        _report(group)
        sys.exit(1)
    sys.exit(0)


def _set_limits() -> None:
    """Raise the soft limit of descriptors as Go does, for every watch and reader is one.

    Dump no core: it would hold Secrets, keys and tokens.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A hard limit above `fs.nr_open` cannot be had; what there is will do.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spare_the_collector() -> None:
    """Never look again at what was imported; look at the rest for each so many new objects.

    Requests and messages are freed by their counts. Each full look costs a service 20 ms.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def _report(group: BaseExceptionGroup[BaseException]) -> None:
    """Say each known reason in one line; a surprise keeps its traceback."""
    known, surprise = group.split(ServiceError)
    for error in _leaves(known):
        log.error("service.failed", reason=str(error))
    if surprise is not None:
        log.error("service.crashed", exc_info=surprise)


def _leaves(group: BaseException | None) -> Iterator[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        for error in group.exceptions:
            yield from _leaves(error)
    elif group is not None:
        yield group
