"""What a container's mounts ask for, before anything of it is made.

A guest finds a path by the longest preopened folder that it begins with, and only folders can be
preopened. So a mounted file needs a folder of its own, named as the file's parent, in which it lies
alone with the other mounted files of that parent. What cannot be shown so is refused here: a file
over a mounted folder that holds more, and files of one parent of which only some may be written.
"""

import posixpath
from typing import NamedTuple

from contract.messages.volume import Mount
from wasm_executor.volumes.errors import ContainerMountError


class Found(NamedTuple):
    """A mount whose volume has been looked at."""

    mount: Mount
    guest_path: str
    host_path: str
    beneath: tuple[str, ...]
    is_file: bool
    read_only: bool
    in_memory: bool
    """Its volume is on tmpfs, and must not be copied to a disk."""
    is_frozen: bool
    """What the container sees of it never changes: a part of a volume that is swapped whole."""
    is_ours: bool
    """The executor made it, so that it may make folders in it."""


class FileGroup(NamedTuple):
    """The files that share a parent in the guest's world."""

    guest_path: str
    files: tuple[Found, ...]

    @property
    def read_only(self) -> bool:
        return self.files[0].read_only

    @property
    def in_memory(self) -> bool:
        return any(each.in_memory for each in self.files)


class Layout(NamedTuple):
    folders: tuple[Found, ...]
    groups: tuple[FileGroup, ...]


def guest_path_of(mount: Mount) -> str:
    """Return a mount's path as guests name it: from the root, without `.` and doubled slashes."""
    return posixpath.normpath("/" + mount.path.lstrip("/"))


def lay_out(found: list[Found]) -> Layout:
    """Sort mounts into folders and groups of files; raise `ContainerMountError`."""
    folders = tuple(each for each in found if not each.is_file)
    taken = {each.guest_path for each in folders}
    groups: dict[str, list[Found]] = {}
    for each in found:
        if each.is_file:
            parent = posixpath.dirname(each.guest_path)
            _require_alone(each, parent, taken)
            groups.setdefault(parent, []).append(each)
    made = tuple(FileGroup(parent, tuple(files)) for parent, files in groups.items())
    for group in made:
        _require_alike(group)
    return Layout(folders, made)


def _require_alone(file: Found, parent: str, folders: set[str]) -> None:
    if parent in folders:
        raise ContainerMountError(
            file.mount.volume,
            f"{file.guest_path} is a single file in {parent}, where another volume is mounted: "
            "without the right to mount, this node cannot lay the one over the other",
        )


def _require_alike(group: FileGroup) -> None:
    odd = [each for each in group.files if each.read_only is not group.read_only]
    if odd:
        raise ContainerMountError(
            odd[0].mount.volume,
            f"single files mounted in {group.guest_path} must all be readOnly or none: "
            "without the right to mount, this node gives them one folder",
        )
