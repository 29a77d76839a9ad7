"""Images for the supervisor: a name and a policy in, a compiled artifact on disk out.

However many pods ask, one pull runs per name and one compilation per content, each as a process
of its own that ends with its last caller, its time limit, or this process. An image that is here
costs a look into memory and a stat. Nothing that pulls or compiles is imported here.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Self

import structlog

from contract.messages.node import NodeImage
from contract.messages.pull import PullPolicy
from wasm_executor.images.access import Accesses
from wasm_executor.images.collecting import Collector
from wasm_executor.images.compiling import Compiler, engine_of_this_machine, uncompiled
from wasm_executor.images.errors import ImageError, ImageNeverPullError, InvalidImageNameError
from wasm_executor.images.foundfile import FoundFiles
from wasm_executor.images.index import ImageIndex
from wasm_executor.images.keyring import NO_KEYS, Keyring
from wasm_executor.images.localfile import PREFIX, LocalFiles
from wasm_executor.images.policy import (
    Decision,
    OnEvent,
    already_present,
    decide,
    failure_events,
    ignore,
)
from wasm_executor.images.pulling import Pulls, Wanted
from wasm_executor.images.records import (
    CompiledObject,
    ImageRecord,
    MountedImage,
    Overrides,
    PreparedImage,
)
from wasm_executor.images.reference import ImageReference, parse_reference
from wasm_executor.images.rootmodule import Module, RootModules
from wasm_executor.images.settings import ImageSettings
from wasm_executor.images.store import ContentStore

log = structlog.get_logger(__name__)

_NO_OVERRIDES: Final = Overrides()
_MOST_LISTED: Final = 50
_MOST_NAMES: Final = 5
"""Both are a kubelet's."""


class ImageService:
    """One per executor. Its work runs in `tasks`, and ends with it."""

    def __init__(
        self,
        settings: ImageSettings,
        tasks: asyncio.TaskGroup,
        *,
        store: ContentStore,
        index: ImageIndex,
        accesses: Accesses,
    ) -> None:
        self._settings = settings
        self._accesses = accesses
        self._store = store
        self._index = index
        self._compiler = Compiler(settings, tasks, store=store, index=index)
        self.found_files = FoundFiles(self._compiler, store, index)
        self._local_files = LocalFiles(settings.local_folders)
        self._root_modules = RootModules(store)
        self._pulls = Pulls(settings, tasks, store=store, index=index)

    @classmethod
    async def open(cls, settings: ImageSettings, tasks: asyncio.TaskGroup) -> Self:
        """Prepare the store and read what it holds. Takes a few hundred milliseconds."""
        store = ContentStore(settings.root)
        await asyncio.to_thread(store.prepare)
        index = ImageIndex(store, await engine_of_this_machine(store))
        await asyncio.to_thread(index.load)
        accesses = Accesses(store, settings.verification, settings.unverified_images)
        await asyncio.to_thread(accesses.load, index.manifests())
        return cls(settings, tasks, store=store, index=index, accesses=accesses)

    def collector(self, in_use: Callable[[], Collection[str]]) -> Collector:
        """Return what makes room; `in_use` names images that pods have, or may start from."""
        return Collector(
            self._settings, self._store, self._index, in_use, modules_in=self._modules_in
        )

    def _modules_in(self, folders: Collection[str]) -> set[str]:
        """Say which compiled code belongs to no layer and may be run all the same."""
        return self._root_modules.digests_in(folders) | self._local_files.known_digests()

    def listed(self) -> tuple[NodeImage, ...]:
        """Return what a Node shows of the images that are here, the largest first."""
        sizes: dict[str, int] = {}
        for image in self._index.images():
            sizes.setdefault(image.manifest_digest, image.size_bytes)
        largest = sorted(sizes.items(), key=lambda each: (-each[1], each[0]))
        return tuple(
            NodeImage(names=tuple(names[:_MOST_NAMES]), size_bytes=size)
            for digest, size in largest[:_MOST_LISTED]
            if (names := self._index.names_of(digest))
        )

    async def ensure(
        self,
        image: str,
        policy: PullPolicy,
        *,
        on_event: OnEvent = ignore,
        keyring: Keyring | None = NO_KEYS,
        overrides: Overrides = _NO_OVERRIDES,
        compiled: bool = True,
    ) -> PreparedImage:
        """Return the image ready to run, or raise an `ImageError` with reason and message.

        `on_event` is called at once for whatever the kubelet would record, failures included;
        Events of a back-off are the caller's. Cancelling this call disturbs no other caller. For
        who runs the image already there is no keyring: whether he may is not asked again. What
        another engine runs is not `compiled`, and of it no more is known than its kind.
        """
        try:
            if image.startswith(PREFIX):
                return await self._ensure_local(image, on_event, compiled=compiled)
            record, pull_s = await self._have(image, policy, on_event, keyring)
            module = await self._module_of(image, record, overrides)
            code = await self._code_of(image, module, on_event, compiled=compiled)
            return self._prepared(image, record, pull_s, module, code, compiled=compiled)
        except ImageError as error:
            for event in failure_events(image, error):
                on_event(event)
            raise

    async def forget_compiled(self, prepared: PreparedImage) -> None:
        """Drop an object that does not load: the next `ensure` compiles again."""
        compiled = self._index.forget_object(prepared.layer_digest)
        if compiled is not None:
            await asyncio.to_thread(self._store.remove_object, compiled)

    async def mounted(
        self,
        image: str,
        policy: PullPolicy,
        *,
        on_event: OnEvent = ignore,
        keyring: Keyring = NO_KEYS,
    ) -> MountedImage:
        """Return the image as a folder of files, or raise an `ImageError`; events as `ensure`."""
        try:
            if image.startswith(PREFIX):
                raise InvalidImageNameError(image, "invalid reference format")
            record, _ = await self._have(image, policy, on_event, keyring, mount=True)
        except ImageError as error:
            for event in failure_events(image, error):
                on_event(event)
            raise
        return MountedImage(
            image_id=parse_reference(image).with_digest(record.manifest_digest),
            manifest_digest=record.manifest_digest,
            folder=self._store.rootfs_path(record.rootfs),
        )

    async def _have(
        self,
        image: str,
        policy: PullPolicy,
        on_event: OnEvent,
        keyring: Keyring | None,
        *,
        mount: bool = False,
    ) -> tuple[ImageRecord, float | None]:
        """Return what is on disk of an image, and how long its pull took, if there was one."""
        reference = parse_reference(image)
        record = self._index.find(reference, mount=mount)
        is_usable = record is not None and await self._may_use(record, reference, policy, keyring)
        decision = decide(policy, present=is_usable)
        if decision is Decision.REFUSE:
            # Of an image that is here and not for this pod, that it is here is not told.
            raise ImageNeverPullError(image)
        if record is None or decision is Decision.PULL:
            return await self._pull(image, reference, keyring or NO_KEYS, on_event, mount=mount)
        on_event(already_present(image))
        return record, None

    async def _may_use(
        self,
        record: ImageRecord,
        reference: ImageReference,
        policy: PullPolicy,
        keyring: Keyring | None,
    ) -> bool:
        """Whether a pod has shown that it may have an image; a pull will show it, too."""
        if keyring is None or policy is PullPolicy.ALWAYS:
            return True
        return await self._accesses.allows(record.manifest_digest, reference, keyring)

    async def _pull(
        self,
        image: str,
        reference: ImageReference,
        keyring: Keyring,
        on_event: OnEvent,
        *,
        mount: bool,
    ) -> tuple[ImageRecord, float]:
        wanted = Wanted(reference, keyring.keys_for(reference), mount)
        made = await self._pulls.pull(image, wanted, on_event)
        digest = made.record.manifest_digest
        await self._accesses.note_pull(digest, reference, keyring.namespace, made.key)
        return made.record, made.pull_s

    def _prepared(
        self,
        image: str,
        record: ImageRecord,
        pull_s: float | None,
        module: Module,
        code: CompiledObject,
        *,
        compiled: bool,
    ) -> PreparedImage:
        return PreparedImage(
            image=image,
            image_id=parse_reference(image).with_digest(record.manifest_digest),
            manifest_digest=record.manifest_digest,
            layer_digest=module.digest,
            aot_path=self._store.object_path(code.digest, code.engine),
            wasm_path=module.path,
            facts=code.facts,
            compiled=compiled,
            size_bytes=record.size_bytes,
            config=record.config,
            rootfs=str(self._store.rootfs_path(record.rootfs)) if record.rootfs else "",
            pulled=pull_s is not None,
            pull_duration_s=pull_s or 0.0,
        )

    async def _code_of(
        self, image: str, module: Module, on_event: OnEvent, *, compiled: bool
    ) -> CompiledObject:
        if compiled:
            return await self._compiler.compiled(image, module.digest, module.path, on_event)
        return await asyncio.to_thread(uncompiled, image, module.digest, module.path)

    async def _module_of(self, image: str, record: ImageRecord, overrides: Overrides) -> Module:
        if record.layer_digest:
            return Module(self._store.blob_path(record.layer_digest), record.layer_digest)
        known = self._root_modules.known(record, overrides)
        if known is not None:
            return known
        return await asyncio.to_thread(self._root_modules.find, image, record, overrides)

    async def _ensure_local(
        self, image: str, on_event: OnEvent, *, compiled: bool
    ) -> PreparedImage:
        file = self._local_files.find(image)
        digest = self._local_files.known_digest(file)
        if digest is None:
            hashed = await asyncio.to_thread(self._local_files.hash, image)
            file, digest = hashed.file, hashed.digest
        on_event(already_present(image))
        code = await self._code_of(image, Module(file.path, digest), on_event, compiled=compiled)
        return PreparedImage(
            image=image,
            image_id=f"{PREFIX}{file.path}@{digest}",
            manifest_digest=digest,
            layer_digest=digest,
            aot_path=self._store.object_path(code.digest, code.engine),
            wasm_path=file.path,
            facts=code.facts,
            compiled=compiled,
            size_bytes=file.size_bytes,
        )
