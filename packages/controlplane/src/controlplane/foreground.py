"""Run programs in the foreground until Ctrl-C, and leave nothing of them behind.

The caller stops what it started: in a `finally` around `interruptible`, whose body ends at the
first signal.
"""

import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from controlplane.errors import ComponentError
from controlplane.processes import Component
from controlplane.terminal import say

LOOK_EVERY_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """A signal asked for the end, wherever the main thread is."""


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal ends the body; later ones are ignored: the stopping is not stopped."""

    def stop(*_: int | FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    except _Stopped:
        say("stopping")


def watch(components: Iterable[Component]) -> None:
    """Returns never: raises ComponentError when one of them ends by itself."""
    watched = tuple(components)
    never = threading.Event()
    while not never.wait(LOOK_EVERY_S):
        for component in watched:
            if not component.is_running:
                tail = component.log_tail()
                raise ComponentError(component.name, "ended by itself", component.log_path, tail)


@contextmanager
def folder_or_temporary(data_dir: Path | None, prefix: str) -> Iterator[Path]:
    """The folder itself, which stays, or one that is gone afterwards."""
    if data_dir is not None:
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix=prefix) as temporary:
        yield Path(temporary)
