"""Images for the supervisor: a name and a policy in, a compiled artifact on disk out.

However many pods ask, one pull runs per name and one compilation per content, each as a process
of its own that ends with its last caller, its time limit, or this process. An image that is here
costs a look into memory and a stat. Nothing that pulls or compiles is imported here.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Self

import structlog

from contract.messages.pull import PullPolicy
from wasm_executor.images.compiling import Compiler, engine_of_this_machine
from wasm_executor.images.errors import ImageError, ImageNeverPullError, ImagePullError
from wasm_executor.images.foundfile import FoundFiles
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.jobrunner import (
    PULL,
    JobCrashedError,
    JobRunner,
    JobTimedOutError,
    own_pid,
)
from wasm_executor.images.jobs import Credentials, JobFailed, Pulled, PullJob
from wasm_executor.images.localfile import PREFIX, LocalFiles
from wasm_executor.images.policy import (
    Decision,
    ImageEvent,
    already_present,
    decide,
    failure_events,
    pull_failed,
    pulled,
    pulling,
)
from wasm_executor.images.records import ImageRecord, PreparedImage
from wasm_executor.images.reference import ImageReference, parse_reference
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.singleflight import SingleFlight
from wasm_executor.images.store import ContentStore

log = structlog.get_logger(__name__)

type OnEvent = Callable[[ImageEvent], None]
type _PullKey = tuple[ImageReference, Credentials | None]

_EXTRA_S: Final = 10.0
"""The job ends itself at its time limit and says why; this is for one that cannot."""


def ignore(_event: ImageEvent) -> None:
    """For callers that tell nobody."""


class ImageService:
    """One per executor. Its work runs in `tasks`, and ends with it."""

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
        self._compiler = Compiler(settings, tasks, store=store, index=index)
        self.found_files = FoundFiles(self._compiler, store, index)
        self._local_files = LocalFiles(settings.local_folders)
        self._pulls: SingleFlight[_PullKey, tuple[ImageRecord, float]] = SingleFlight(
            tasks, "images.pull"
        )
        self._turns: dict[str, asyncio.Semaphore] = {}

    @classmethod
    async def open(cls, settings: ImageSettings, tasks: asyncio.TaskGroup) -> Self:
        """Prepare the store and read what it holds. Takes a few hundred milliseconds."""
        store = ContentStore(settings.root)
        await asyncio.to_thread(store.prepare)
        index = ImageIndex(store, await engine_of_this_machine(store))
        await asyncio.to_thread(index.load)
        return cls(settings, tasks, store=store, index=index)

    async def ensure(
        self,
        image: str,
        policy: PullPolicy,
        *,
        on_event: OnEvent = ignore,
        credentials: Credentials | None = None,
    ) -> PreparedImage:
        """Return the image ready to run, or raise an `ImageError` with reason and message.

        `on_event` is called at once for whatever the kubelet would record, failures included;
        Events of a back-off are the caller's. Cancelling this call disturbs no other caller.
        """
        try:
            if image.startswith(PREFIX):
                return await self._ensure_local(image, on_event)
            return await self._ensure_pulled(image, policy, on_event, credentials)
        except ImageError as error:
            for event in failure_events(image, error):
                on_event(event)
            raise

    async def forget_compiled(self, prepared: PreparedImage) -> None:
        """Drop an object that does not load: the next `ensure` compiles again."""
        compiled = self._index.forget_object(prepared.layer_digest)
        if compiled is not None:
            await asyncio.to_thread(self._store.remove_object, compiled)

    async def _ensure_pulled(
        self,
        image: str,
        policy: PullPolicy,
        on_event: OnEvent,
        credentials: Credentials | None,
    ) -> PreparedImage:
        reference = parse_reference(image)
        record = self._index.find(reference)
        decision = decide(policy, present=record is not None)
        if decision is Decision.REFUSE:
            raise ImageNeverPullError(image)
        pull_s = None
        if record is None or decision is Decision.PULL:
            record, pull_s = await self._pull(image, reference, on_event, credentials)
        else:
            on_event(already_present(image))
        wasm = self._store.blob_path(record.layer_digest)
        compiled = await self._compiler.compiled(image, record.layer_digest, wasm)
        return PreparedImage(
            image=image,
            image_id=reference.with_digest(record.manifest_digest),
            manifest_digest=record.manifest_digest,
            layer_digest=record.layer_digest,
            aot_path=self._store.object_path(compiled.digest, compiled.engine),
            facts=compiled.facts,
            size_bytes=record.layer_bytes,
            pulled=pull_s is not None,
            pull_duration_s=pull_s or 0.0,
        )

    async def _ensure_local(self, image: str, on_event: OnEvent) -> PreparedImage:
        file = self._local_files.find(image)
        digest = self._local_files.known_digest(file)
        if digest is None:
            hashed = await asyncio.to_thread(self._local_files.hash, image)
            file, digest = hashed.file, hashed.digest
        on_event(already_present(image))
        compiled = await self._compiler.compiled(image, digest, file.path)
        return PreparedImage(
            image=image,
            image_id=f"{PREFIX}{file.path}@{digest}",
            manifest_digest=digest,
            layer_digest=digest,
            aot_path=self._store.object_path(compiled.digest, compiled.engine),
            facts=compiled.facts,
            size_bytes=file.size_bytes,
        )

    async def _pull(
        self,
        image: str,
        reference: ImageReference,
        on_event: OnEvent,
        credentials: Credentials | None,
    ) -> tuple[ImageRecord, float]:
        on_event(pulling(image))
        asked_at = time.monotonic()
        record, pull_s = await self._pulls.do(
            (reference, credentials), lambda: self._pull_in_turn(reference, credentials)
        )
        waited_s = time.monotonic() - asked_at
        # Who joined a pull that was under way saw only the rest of it.
        own_s, size_bytes = min(pull_s, waited_s), record.layer_bytes
        on_event(pulled(image, pull_s=own_s, waited_s=waited_s, size_bytes=size_bytes))
        return record, pull_s

    async def _pull_in_turn(
        self, reference: ImageReference, credentials: Credentials | None
    ) -> tuple[ImageRecord, float]:
        turns = self._turns.setdefault(
            reference.registry, asyncio.Semaphore(self._settings.pulls_per_registry)
        )
        async with turns:
            started_at = time.monotonic()
            try:
                result = await self._run_pull(reference, credentials)
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
        return result.image, pull_s

    async def _run_pull(self, reference: ImageReference, credentials: Credentials | None) -> Pulled:
        limits = self._settings.pull_limits
        ca_file = self._settings.ca_file
        job = PullJob(
            reference=str(reference),
            store=str(self._store.root),
            parent_pid=own_pid(),
            ca_file=str(ca_file) if ca_file else None,
            insecure_registries=self._settings.insecure_registries,
            credentials=credentials,
            limits=limits,
        )
        timeout_s = limits.total_timeout_s + _EXTRA_S
        try:
            result = await self._runner.run(PULL, job, timeout_s=timeout_s)
        except JobTimedOutError as error:
            raise pull_failed(str(reference), f"not complete after {timeout_s:g}s") from error
        except JobCrashedError as error:
            raise pull_failed(str(reference), f"the pull ended by {error}") from error
        except OSError as error:
            raise pull_failed(str(reference), f"cannot start the pull: {error}") from error
        match result:
            case Pulled():
                return result
            case JobFailed():
                raise ImagePullError(result.reason, result.message, retry=result.retry)
            case _:
                detail = f"the pull answered {type(result).__name__}"
                raise pull_failed(str(reference), detail)
