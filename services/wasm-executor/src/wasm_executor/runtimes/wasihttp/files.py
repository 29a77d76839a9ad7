"""Folders and files of a handler: its container's mounts, opened beneath their own folders.

A path is walked by descriptors and never leaves its folder, whatever is put there meanwhile (see
`open_beneath`); Landlock, which fences the process off, is the second wall.
"""

import os
import stat
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen
from wasm_executor.runtimes.wasihttp.errors import StreamClosedError
from wasm_executor.runtimes.wasihttp.streams import MOST_READ, Always

NEW_FILE_MODE: Final = 0o644
NEW_FOLDER_MODE: Final = 0o755
_TYPES: Final = {
    stat.S_IFREG: "regular-file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic-link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}


class Descriptor:
    """A folder or a file. What is below a read-only folder is read-only too."""

    def __init__(self, fd: int, *, writable: bool, mutable: bool, closes: bool = True) -> None:
        self.fd = fd
        self.writable = writable
        """Whether this file may be written."""
        self.mutable = mutable
        """Whether what is below this folder may be changed."""
        self._closes = closes

    def drop(self) -> None:
        if self._closes:
            self._closes = False
            os.close(self.fd)

    def stat(self) -> os.stat_result:
        return os.fstat(self.fd)

    def find(self, path: str, *, follow: bool) -> int:
        """Return a new descriptor (O_PATH) of what a path below this folder names."""
        if path.startswith("/"):
            raise PermissionError(1, "the path is absolute")
        if follow:
            return open_beneath(openable(self.fd), [path])
        folder, name = self.parent_of(path)
        try:
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)

    def parent_of(self, path: str) -> tuple[int, str]:
        """Return a new descriptor of the folder that a path's last name is in, and that name."""
        if path.startswith("/"):
            raise PermissionError(1, "the path is absolute")
        head, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            head, name = path, "."
        return open_beneath(openable(self.fd), [head or "."]), name

    def changeable_parent_of(self, path: str) -> tuple[int, str]:
        """The same, to change something there."""
        if not self.mutable:
            raise OSError(30, "Read-only file system")
        return self.parent_of(path)

    def open(
        self, path: str, *, follow: bool, making: frozenset[str], wanted: frozenset[str]
    ) -> "Descriptor":
        """Open what is there, or what is made now; `making` and `wanted` are WASI's flags."""
        writes = bool(wanted & {"write", "mutate-directory"})
        if (writes or making & {"create", "truncate"}) and not self.mutable:
            raise OSError(30, "Read-only file system")
        if "create" in making:
            self._make(path, exclusive="exclusive" in making)
        found = self.find(path, follow=follow)
        try:
            return self._opened(found, making=making, writes="write" in wanted)
        finally:
            os.close(found)

    def _make(self, path: str, *, exclusive: bool) -> None:
        folder, name = self.changeable_parent_of(path)
        flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(name, flags | os.O_EXCL, NEW_FILE_MODE, dir_fd=folder))
        except FileExistsError:
            if exclusive:
                raise
        finally:
            os.close(folder)

    def _opened(self, found: int, *, making: frozenset[str], writes: bool) -> "Descriptor":
        mode = os.fstat(found).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(40, "a symbolic link")
        if stat.S_ISDIR(mode):
            flags = os.O_RDONLY | os.O_DIRECTORY
        elif "directory" in making:
            raise NotADirectoryError(20, "not a directory")
        else:
            flags = (os.O_RDWR if writes else os.O_RDONLY) | os.O_NONBLOCK
            flags |= os.O_TRUNC if "truncate" in making else 0
        fd = os.open(openable(found), flags | os.O_CLOEXEC)
        return Descriptor(fd, writable=writes, mutable=self.mutable)


def folders_of(preopens: tuple[Preopen, ...]) -> list[tuple[Descriptor, str]]:
    """Open a container's mounts, once for all instances of a worker."""
    return [
        (
            Descriptor(
                open_beneath(each.host_path, each.beneath),
                writable=False,
                mutable=not each.read_only,
                closes=False,
            ),
            each.guest_path,
        )
        for each in preopens
    ]


def type_of(mode: int) -> str:
    return _TYPES.get(stat.S_IFMT(mode), "unknown")


class FileInput(Always):
    """Reads a file from an offset on."""

    def __init__(self, descriptor: Descriptor, offset: int) -> None:
        self._fd = os.dup(descriptor.fd)
        self._offset = offset

    def read(self, size: int) -> bytes:
        data = os.pread(self._fd, min(size, MOST_READ), self._offset)
        if not data and size:
            raise StreamClosedError("the end of the file")
        self._offset += len(data)
        return data

    def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileOutput(Always):
    """Writes a file from an offset on, or at its end."""

    def __init__(self, descriptor: Descriptor, offset: int | None) -> None:
        self._fd = os.dup(descriptor.fd)
        self._offset = offset

    def room(self) -> int:
        return MOST_READ

    def write(self, data: bytes) -> None:
        at = os.fstat(self._fd).st_size if self._offset is None else self._offset
        written = 0
        while written < len(data):
            written += os.pwrite(self._fd, data[written:], at + written)
        if self._offset is not None:
            self._offset += written

    def flush(self) -> None:
        """Nothing is held back."""

    def flushed(self) -> bool:
        return True

    def close(self) -> None:
        self.drop()

    def drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
