"""The volumes of a node's pods, from the first container's start to the pod's end.

Files that hold secrets lie on tmpfs, emptyDirs on the data disk or on tmpfs, and a hostPath stays
where it is. All of it survives a restart of the supervisor: what is there is found again by its
name, and nothing is written that is as planned already.
"""

import asyncio
import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, assert_never

import structlog

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.volume import EmptyDir, Files, HostPath, ImageVolume, VolumePlan
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.atomic import AtomicFolder, InvalidPathError, is_published
from wasm_executor.volumes.contents import Contents, FetchBlob
from wasm_executor.volumes.errors import ContentError, MountError
from wasm_executor.volumes.filevariables import FileVariables
from wasm_executor.volumes.finishing import finished
from wasm_executor.volumes.folders import Folders, make_folder
from wasm_executor.volumes.hostpath import HostPathRefusedError, HostPaths
from wasm_executor.volumes.imagefolders import ImageFolders
from wasm_executor.volumes.measuring import Usage, measure
from wasm_executor.volumes.mounting import Mounts
from wasm_executor.volumes.removing import Remover, at_leisure
from wasm_executor.volumes.sources import Sources

log = structlog.get_logger()

_EMPTY_DIR_MODE: Final = 0o777
_FEW_FILES: Final = 64
"""They take a millisecond; waking a thread takes as long where the processors are busy."""


class Volumes:
    """`fetch` gives a blob by its digest, or raises `ContentError`: then its volume waits.

    `allowed_prefixes` are the host's folders that pods may name by hostPath.
    """

    def __init__(
        self,
        data_dir: Path,
        run_dir: Path,
        fetch: FetchBlob,
        allowed_prefixes: Sequence[Path] = (),
    ) -> None:
        self._folders = Folders(data_dir, run_dir)
        self._contents = Contents(self._folders.blobs, fetch)
        self._host_paths = HostPaths(allowed_prefixes)
        self._swapping = threading.Lock()
        self.image_folders = ImageFolders()
        sources = Sources(self._folders, self._host_paths, self.image_folders)
        self.variables = FileVariables(self._folders, sources)
        self._mounts = Mounts(self._folders, sources, self._swapping)
        self._turns: dict[PodUid, asyncio.Lock] = {}
        places = (self._folders.disk, self._folders.memory)
        self._removers = tuple(Remover(Path(each, ".removed")) for each in places)

    async def prepare(self, plan: PodPlan) -> None:
        """Have all volumes of a pod as planned; raise `MountError` for the first that cannot be.

        The others are made all the same, and made again at no cost. Volumes change at the same
        time for all containers of the pod, also for those that run.
        """
        await self._have(plan, plan.volumes, at_once=self._are_quick(plan.volumes))

    async def update(self, plan: PodPlan) -> None:
        """The same for a pod that runs: what has no source any more stays as it is."""
        changing = [each for each in plan.volumes if isinstance(each.source, Files)]
        await self._have(plan, changing, at_once=False)

    def bring(self, uid: PodUid, contents: Sequence[bytes]) -> None:
        """Take contents that came with a pod's plan: they need not be fetched for its volumes."""
        self._contents.bring(uid, contents)

    async def _have(self, plan: PodPlan, volumes: Sequence[VolumePlan], *, at_once: bool) -> None:
        if not volumes:
            return
        async with self._turns.setdefault(plan.uid, asyncio.Lock()):
            faults = await self._make(plan.uid, volumes, at_once=at_once)
        for fault in faults:
            raise fault
        self._contents.drop_brought(plan.uid)

    async def _make(
        self, uid: PodUid, volumes: Sequence[VolumePlan], *, at_once: bool
    ) -> list[MountError]:
        """Contents first, then all at once: a thread for each would take longer than its files."""
        wanted = {
            each.name: each.source.files for each in volumes if isinstance(each.source, Files)
        }
        async with self._contents.held(wanted) as lacking:
            if at_once and not self._swapping.locked():
                written, faults = self._make_each(uid, volumes, lacking)
            else:
                written, faults = await finished(self._make_each, uid, volumes, lacking)
        if written:
            log.info("volumes.written", pod_uid=uid, volumes=written)
        return faults

    def shows_quickly(self, plan: PodPlan, container: ContainerPlan) -> bool:
        """Say whether `preopens` is so little work that a thread would take longer.

        A part of a volume may have to be copied, a file for last words in one be emptied: either
        may be as long as some guest has made it.
        """
        may_be_long = any(
            mount.sub_path or container.message_path.startswith(f"{mount.path.rstrip('/')}/")
            for mount in container.mounts
        )
        return self._are_quick(plan.volumes) and not may_be_long

    def _are_quick(self, volumes: Iterable[VolumePlan]) -> bool:
        """Say the same of making these.

        Few files, all of them in folders of our own, no update of another volume to wait for.
        """
        sources = [each.source for each in volumes]
        few = sum(len(each.files) for each in sources if isinstance(each, Files)) <= _FEW_FILES
        ours = all(isinstance(each, Files | EmptyDir) for each in sources)
        return few and ours and not self._swapping.locked()

    def _make_each(
        self, uid: PodUid, volumes: Sequence[VolumePlan], lacking: Mapping[str, ContentError]
    ) -> tuple[list[str], list[MountError]]:
        """Return the volumes whose files have changed, and why others are not to be had."""
        written: list[str] = []
        faults: list[MountError] = []
        for volume in volumes:
            try:
                if volume.name in lacking:
                    raise lacking[volume.name]
                if self._make_one(uid, volume):
                    written.append(volume.name)
            except MountError as error:
                faults.append(error)
            except (HostPathRefusedError, InvalidPathError, ContentError) as error:
                faults.append(MountError(volume.name, str(error)))
            except (OSError, ValueError) as error:
                reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
                faults.append(MountError(volume.name, reason))
        return written, faults

    def _make_one(self, uid: PodUid, volume: VolumePlan) -> bool:
        """Have a volume; True if its files have changed."""
        match volume.source:
            case Files() as files:
                return self._write(uid, volume.name, files)
            case EmptyDir() as source:
                _have_folder(self._folders.empty_dir(uid, volume.name, source))
            case HostPath() as source:
                self._host_paths.prepare(source)
            case ImageVolume():
                pass  # pulled for each container that mounts it, as its own image is
            case None:
                self._require_kept(uid, volume)
            case other:
                assert_never(other)
        return False

    def _require_kept(self, uid: PodUid, volume: VolumePlan) -> None:
        """What has lost its source since it was made stays mounted, as it is: also for restarts.

        So a kubelet does it: a remount that fails leaves the mount, and the pod does not wait.
        """
        if not is_published(self._folders.files(uid, volume.name)):
            raise MountError(volume.name, volume.missing)

    def _write(self, uid: PodUid, volume: str, files: Files) -> bool:
        folder = self._folders.files(uid, volume)
        is_update = os.path.isdir(folder)  # noqa: PTH112 - on the way of every start
        with self._swapping:
            changed = AtomicFolder(folder).write(files, self._contents.link)
        if changed and is_update:
            self._contents.drop_unused()
        return changed

    def preopens(
        self, plan: PodPlan, container: ContainerPlan, run: int, others: Sequence[Preopen] = ()
    ) -> tuple[Preopen, ...]:
        """Return all that a run's processes see; see `Mounts.preopens`. Blocks, for files only.

        Call it once the volumes are prepared; raise `ContainerMountError`.
        """
        return self._mounts.preopens(plan, container, run, others)

    def hides(self, uid: PodUid, container: ContainerPlan, run: int, guest_path: str) -> bool:
        """Say whether a mount hides what else a run would see at a guest path; see `Mounts`."""
        return self._mounts.hides(uid, container, run, guest_path)

    def writable_folder(
        self,
        uid: PodUid,
        container: ContainerPlan,
        run: int,
        guest_path: str,
        create_mode: int | None = None,
    ) -> AbstractContextManager[str | None]:
        """Give the host's path of what a run sees at a guest path; see `Mounts`."""
        return self._mounts.writable_folder(uid, container, run, guest_path, create_mode)

    async def usage(self, plan: PodPlan) -> dict[str, Usage]:
        """Return what is in each emptyDir that has a limit."""
        used: dict[str, Usage] = {}
        for volume in plan.volumes:
            match volume.source:
                case EmptyDir(size_limit_bytes=limit) as source if limit is not None:
                    folder = self._folders.empty_dir(plan.uid, volume.name, source)
                    used[volume.name] = await at_leisure(measure, folder)
        return used

    def take_run(self, uid: PodUid, container: ContainerName, run: int) -> None:
        """Take away what was made for a run, once none of its processes is left.

        The next run may have its number. `empty` removes what was taken.
        """
        self.variables.drop(uid, container, run)
        for remover, in_memory in zip(self._removers, (False, True), strict=True):
            remover.take(self._folders.run(uid, container, run, memory=in_memory))

    def empty(self) -> None:
        """Remove what was taken away. Blocks: a guest may have left a lot."""
        for remover in self._removers:
            remover.empty()

    async def drop(self, uid: PodUid) -> None:
        """Remove all of a pod's volumes, once none of its containers is left."""
        async with self._turns.setdefault(uid, asyncio.Lock()):
            self._contents.drop_brought(uid)
            await at_leisure(self._drop, uid)
            self.image_folders.drop(uid)
        self._turns.pop(uid, None)

    async def drop_others(self, known: Collection[PodUid]) -> None:
        """Remove the volumes of pods that nobody knows any more; for a supervisor that starts."""
        left = await asyncio.to_thread(self._folders.pods)
        for uid in left - set(known):
            await self.drop(uid)

    def _drop(self, uid: PodUid) -> None:
        self._remove(*self._folders.pod(uid))
        self._contents.drop_unused()

    def _remove(self, disk: str, memory: str) -> None:
        for remover, folder in zip(self._removers, (disk, memory), strict=True):
            if os.path.lexists(folder):
                remover.remove(folder)


def _have_folder(folder: str) -> None:
    """A guest that is there already may have what it likes in it; the folder itself is not its."""
    if not os.path.isdir(folder):  # noqa: PTH112 - on the way of every start
        make_folder(folder)
        Path(folder).chmod(_EMPTY_DIR_MODE)
