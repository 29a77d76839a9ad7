"""Pulls for the supervisor: one at a time for each name and purpose, however many ask.

Each runs as a process of its own that ends with its last caller, its time limit, or this process.
"""

import asyncio
import time
from typing import Final, NamedTuple

import structlog

from contract.messages.pull import PullKey
from servicekit.tracing import step
from wasm_executor.images.errors import ImagePullError
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.jobrunner import (
    PULL,
    JobCrashedError,
    JobRunner,
    JobTimedOutError,
    own_pid,
)
from wasm_executor.images.jobs import JobFailed, Pulled, PullJob
from wasm_executor.images.keyring import credentials_of
from wasm_executor.images.policy import OnEvent, pull_failed, pulled, pulling
from wasm_executor.images.records import ImageRecord
from wasm_executor.images.reference import ImageReference
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.singleflight import SingleFlight
from wasm_executor.images.store import ContentStore

log = structlog.get_logger(__name__)

_EXTRA_S: Final = 10.0
"""The job ends itself at its time limit and says why; this is for one that cannot."""


class Wanted(NamedTuple):
    """What makes two pulls the same one."""

    reference: ImageReference
    keys: tuple[PullKey, ...] = ()
    mount: bool = False


class PulledImage(NamedTuple):
    """What a pull brought, how long it took, and with which of its keys, if it had any."""

    record: ImageRecord
    pull_s: float
    key: PullKey | None


class Pulls:
    """Those of one executor."""

    def __init__(
        self,
        settings: ImageSettings,
        tasks: asyncio.TaskGroup,
        *,
        store: ContentStore,
        index: ImageIndex,
    ) -> None:
        self._settings = settings
        self._store = store
        self._index = index
        self._runner = JobRunner(store)
        self._flights: SingleFlight[Wanted, PulledImage] = SingleFlight(tasks, "images.pull")
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def pull(self, image: str, wanted: Wanted, on_event: OnEvent) -> PulledImage:
        """Return the image, or raise `ImagePullError`."""
        on_event(pulling(image))
        asked_at = time.monotonic()
        with step("image.pull", {"container.image.name": image}):
            made = await self._flights.do(wanted, lambda: self._pull_in_turn(wanted))
        waited_s = time.monotonic() - asked_at
        # Who joined a pull that was under way saw only the rest of it.
        own_s, size_bytes = min(made.pull_s, waited_s), made.record.size_bytes
        on_event(pulled(image, pull_s=own_s, waited_s=waited_s, size_bytes=size_bytes))
        return made

    async def _pull_in_turn(self, wanted: Wanted) -> PulledImage:
        reference = wanted.reference
        turns = self._turns.setdefault(
            reference.registry, asyncio.Semaphore(self._settings.pulls_per_registry)
        )
        async with turns:
            started_at = time.monotonic()
            try:
                result = await self._run(wanted)
            except ImagePullError as error:
                log.warning("image.pull_failed", image=str(reference), problem=error.message)
                raise
        pull_s = time.monotonic() - started_at
        self._index.add_image(reference, result.image, time.time())
        log.info(
            "image.pulled",
            image=str(reference),
            manifest=result.image.manifest_digest,
            downloaded_bytes=result.downloaded_bytes,
            duration_s=pull_s,
        )
        key = None if result.used is None else wanted.keys[result.used]
        return PulledImage(result.image, pull_s, key)

    async def _run(self, wanted: Wanted) -> Pulled:
        settings = self._settings
        limits = settings.pull_limits
        name = str(wanted.reference)
        job = PullJob(
            reference=name,
            store=str(self._store.root),
            parent_pid=own_pid(),
            ca_file=str(settings.ca_file) if settings.ca_file else None,
            insecure_registries=settings.insecure_registries,
            config_dir=str(settings.config_dir) if settings.config_dir else None,
            token_hosts=settings.token_hosts,
            credentials=tuple(map(credentials_of, wanted.keys)),
            limits=limits,
            mount=wanted.mount,
        )
        timeout_s = limits.total_timeout_s + _EXTRA_S
        try:
            result = await self._runner.run(PULL, job, timeout_s=timeout_s)
        except JobTimedOutError as error:
            raise pull_failed(name, f"not complete after {timeout_s:g}s") from error
        except JobCrashedError as error:
            raise pull_failed(name, f"the pull ended by {error}") from error
        except OSError as error:
            raise pull_failed(name, f"cannot start the pull: {error}") from error
        match result:
            case Pulled():
                return result
            case JobFailed():
                raise ImagePullError(result.reason, result.message, retry=result.retry)
            case _:
                raise pull_failed(name, f"the pull answered {type(result).__name__}")
