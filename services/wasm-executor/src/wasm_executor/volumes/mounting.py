"""Shows a container its mounts: makes what a run of it needs, and says what to preopen.

A part of a volume that other containers write (`subPath`) is named, not opened: the container's own
process opens it, and there nothing leads out of the volume, whatever another container puts in the
way. What a run was given is written down, so that its execs get the same, and so that it stays as
it was although its volumes change: that is what Kubernetes promises of subPath.
"""

import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.volume import Mount
from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.errors import ContainerMountError, ImageMountError
from wasm_executor.volumes.etcfiles import with_etc_files
from wasm_executor.volumes.folders import Folders, make_folder
from wasm_executor.volumes.layout import Found, guest_path_of, lay_out
from wasm_executor.volumes.materials import RunFolders
from wasm_executor.volumes.sources import Source, Sources
from wasm_executor.volumes.world import covering, hides, merged, with_mount_points

RECORD: Final = "preopens"
ROOT_FOLDER: Final = "root"
ETC_FOLDER: Final = "etc"
_SUB_PATH_MODE: Final = 0o777
_PRIVATE: Final = 0o600
_decoder: Final = msgspec.msgpack.Decoder(tuple[Preopen, ...])


class Mounts:
    """`swapping` is held by whoever changes a volume's files: nothing is half one version then."""

    def __init__(self, folders: Folders, sources: Sources, swapping: threading.Lock) -> None:
        self._folders = folders
        self._sources = sources
        self._swapping = swapping

    def preopens(
        self, plan: PodPlan, container: ContainerPlan, run: int, others: Sequence[Preopen] = ()
    ) -> tuple[Preopen, ...]:
        """Return all that a run's processes see, `others` with it.

        Blocks; the first call for a run makes what it needs. Raise `ContainerMountError`.
        """
        if not container.mounts:
            return tuple(others)
        own = self._recorded(plan.uid, container.name, run)
        if own is None:
            own = self._make(plan, container, run, others)
        return merged(own, others, self._root(plan.uid, container.name, run))

    def hides(self, uid: PodUid, container: ContainerPlan, run: int, guest_path: str) -> bool:
        """Say whether a mount is seen at this place of a run's world, and not what others show."""
        known = self._recorded(uid, container.name, run) if container.mounts else None
        return hides(known or (), guest_path, self._root(uid, container.name, run))

    @contextmanager
    def writable_folder(
        self,
        uid: PodUid,
        container: ContainerPlan,
        run: int,
        guest_path: str,
        create_mode: int | None = None,
    ) -> Iterator[str | None]:
        """Give a path to a folder that a run sees in a mount, or at one.

        None if there is none, or the run may not write in it. It is good within the context; what
        is in it is any guest's: follow nothing. With `create_mode` it is made.
        """
        known = self._recorded(uid, container.name, run) if container.mounts else None
        shown = covering(known or (), guest_path, self._root(uid, container.name, run))
        if shown is None or shown.read_only:
            yield None
            return
        rest = guest_path[len(shown.guest_path) :]
        try:
            path = (*shown.beneath, rest)
            descriptor = open_beneath(shown.host_path, path, create_mode=create_mode)
        except (OSError, ValueError):
            yield None
            return
        try:
            yield openable(descriptor)
        finally:
            os.close(descriptor)

    def _root(self, uid: PodUid, container: ContainerName, run: int) -> str:
        return f"{self._folders.run(uid, container, run, memory=True)}/{ROOT_FOLDER}"

    def _recorded(
        self, uid: PodUid, container: ContainerName, run: int
    ) -> tuple[Preopen, ...] | None:
        folder = self._folders.run(uid, container, run, memory=True)
        with suppress(OSError):
            return _decoder.decode(Path(folder, RECORD).read_bytes())
        return None

    def _make(
        self, plan: PodPlan, container: ContainerPlan, run: int, others: Sequence[Preopen]
    ) -> tuple[Preopen, ...]:
        folder = self._folders.run(plan.uid, container.name, run, memory=True)
        disk = self._folders.run(plan.uid, container.name, run, memory=False)
        try:
            with self._swapping:
                layout = lay_out([self._find(plan, container, each) for each in container.mounts])
                shown = RunFolders(folder, disk).fill(layout)
            shown = with_etc_files(shown, layout.groups, others, f"{folder}/{ETC_FOLDER}")
            own = with_mount_points(shown, others, root=f"{folder}/{ROOT_FOLDER}")
            make_folder(folder)
            _write(f"{folder}/{RECORD}", msgspec.msgpack.encode(own))
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            message = f'failed to prepare the mounts of container "{container.name}": {reason}'
            raise ContainerMountError(container.mounts[0].volume, message) from error
        return own

    def _find(self, plan: PodPlan, container: ContainerPlan, mount: Mount) -> Found:
        volume = next((each for each in plan.volumes if each.name == mount.volume), None)
        source = None if volume is None else self._sources.find(plan.uid, volume)
        if source is None:
            raise ContainerMountError(
                mount.volume,
                f'cannot find volume "{mount.volume}" to mount into container "{container.name}"',
            )
        _require_inner(mount)
        mode = _mode_of(source, container, mount)
        return Found(
            mount=mount,
            guest_path=guest_path_of(mount),
            host_path=source.host_path,
            beneath=_beneath(source, mount),
            is_file=stat.S_ISREG(mode),
            read_only=mount.read_only or source.read_only,
            in_memory=source.in_memory,
            is_frozen=source.is_swapped and bool(mount.sub_path),
            is_ours=source.is_ours,
        )


def _beneath(source: Source, mount: Mount) -> tuple[str, ...]:
    return (*source.beneath, mount.sub_path) if mount.sub_path else source.beneath


def _require_inner(mount: Mount) -> None:
    path = mount.sub_path
    if path.startswith("/"):
        text = f"error SubPath `{path}` must not be an absolute path"
        raise ContainerMountError(mount.volume, text)
    if ".." in path.split("/"):
        text = f"unable to provision SubPath `{path}`: must not contain '..'"
        raise ContainerMountError(mount.volume, text)


def _mode_of(source: Source, container: ContainerPlan, mount: Mount) -> int:
    """Return what a mount shows, folder or file; a part that is not there becomes a folder.

    The reason stays here: it could tell of the node's own files, as a kubelet says too.
    """
    path = _beneath(source, mount)
    wish = f'volumeMount "{mount.volume}" of container "{container.name}"'
    try:
        mode = _mode_at(source.host_path, path)
    except FileNotFoundError:
        if source.is_swapped:
            return stat.S_IFDIR
        if source.is_image:
            text = f"subPath {mount.sub_path!r} of {wish}: no such file or directory"
            raise ImageMountError(mount.volume, text) from None
        try:
            os.close(open_beneath(source.host_path, path, create_mode=_SUB_PATH_MODE))
        except OSError as error:
            text = f"failed to create subPath directory for {wish}"
            raise ContainerMountError(mount.volume, text) from error
        return stat.S_IFDIR
    except (OSError, ValueError) as error:
        text = f"failed to prepare subPath for {wish}"
        raise ContainerMountError(mount.volume, text) from error
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        text = f"failed to prepare subPath for {wish}"
        raise ContainerMountError(mount.volume, text)
    return mode


def _mode_at(host_path: str, beneath: tuple[str, ...]) -> int:
    descriptor = open_beneath(host_path, beneath)
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(f"{path}.partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
        file.write(content)
    os.replace(f"{path}.partial", path)  # noqa: PTH105 - no Path on the way of every start
