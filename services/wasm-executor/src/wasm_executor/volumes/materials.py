"""Makes what one run of a container needs beside its volumes: folders for single files, and parts
of volumes as they were at its start.

A file is linked to, so that what is written into it is seen by all; where it lies on another file
system it can only be read, as a copy. What comes from a volume on tmpfs never goes to a disk.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.errors import ContainerMountError
from wasm_executor.volumes.folders import make_folder
from wasm_executor.volumes.layout import FileGroup, Found, Layout
from wasm_executor.volumes.world import Shown

MOST_COPIED_BYTES: Final = 64 * 1024 * 1024
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK})
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class RunFolders:
    """Two folders of one run's own: on tmpfs and on the disk. No guest is in them yet."""

    def __init__(self, memory: str, disk: str) -> None:
        self._memory = memory
        self._disk = disk

    def fill(self, layout: Layout) -> list[Shown]:
        """Make it all anew; return what the run sees. Raise OSError, `ContainerMountError`."""
        for folder in (self._memory, self._disk):  # an earlier try has not come to its end
            shutil.rmtree(folder, ignore_errors=True)
        shown = [self._folder(number, each) for number, each in enumerate(layout.folders)]
        shown += [self._group(number, each) for number, each in enumerate(layout.groups)]
        return shown

    def _folder(self, number: int, found: Found) -> Shown:
        host_path, beneath = found.host_path, found.beneath
        if found.is_frozen:
            host_path, beneath = f"{self._memory}/part-{number}", ()
            make_folder(self._memory)
            _freeze(found, host_path)
        preopen = Preopen(
            host_path=host_path,
            guest_path=found.guest_path,
            read_only=found.read_only,
            beneath=beneath,
        )
        return Shown(preopen, takes_folders=found.is_ours and not found.read_only)

    def _group(self, number: int, group: FileGroup) -> Shown:
        place = self._memory if group.in_memory else self._disk
        folder = f"{place}/files-{number}"
        make_folder(folder)
        for file in group.files:
            _show_file(file, f"{folder}/{os.path.basename(file.guest_path)}")  # noqa: PTH119
        preopen = Preopen(host_path=folder, guest_path=group.guest_path, read_only=group.read_only)
        return Shown(preopen, takes_folders=False)


@contextmanager
def _opened(found: Found) -> Iterator[int]:
    descriptor = open_beneath(found.host_path, found.beneath)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def linked_or_copied(source: str, target: str) -> str:
    """Link to a file that never changes, or copy it where it lies on another file system."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copy(source, target)
    return target


def _freeze(found: Found, target: str) -> None:
    """Link to the files as they are now; the next version of the volume has others."""
    try:
        with _opened(found) as part:
            shutil.copytree(openable(part), target, copy_function=os.link)
    except FileNotFoundError:
        Path(target).mkdir()


def _show_file(found: Found, target: str) -> None:
    with _opened(found) as file:
        if not stat.S_ISREG(os.fstat(file).st_mode):  # another guest has put something else there
            raise _refused(found, "it is not a file any more")
        try:
            # The directory descriptor is only there to have linkat follow; the path is absolute.
            os.link(openable(file), target, src_dir_fd=file, follow_symlinks=True)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _copy(found, file, target)


def _copy(found: Found, file: int, target: str) -> None:
    if not found.read_only:
        raise _refused(found, "it lies on another file system than this node's data: readOnly only")
    with open(os.open(openable(file), _READ), "rb") as source:  # noqa: PTH123 - a descriptor
        state = os.fstat(source.fileno())
        if state.st_size > MOST_COPIED_BYTES:
            raise _refused(found, f"it has more than {MOST_COPIED_BYTES} bytes and must be copied")
        content = source.read(MOST_COPIED_BYTES)
    Path(target).write_bytes(content)
    Path(target).chmod(stat.S_IMODE(state.st_mode))


def _refused(found: Found, reason: str) -> ContainerMountError:
    text = f"the single file {found.guest_path} cannot be mounted: {reason}"
    return ContainerMountError(found.mount.volume, text)
