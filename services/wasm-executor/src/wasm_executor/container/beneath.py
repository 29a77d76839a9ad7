"""Opens what lies below a folder, and nothing else, whatever a guest puts there meanwhile.

A guest may swap any folder that it can write for a symlink, at any moment. So a path is never
checked and then opened: it is walked from descriptor to descriptor, and every symlink on the way is
read by hand. What would leave the folder (`..` above it, an absolute symlink) is refused. It is
openat2's RESOLVE_BENEATH for kernels and container runtimes that refuse openat2.
"""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

MAX_SYMLINKS: Final = 40
"""Linux's own number."""
_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def open_beneath(root: str, paths: Iterable[str] = (), *, create_mode: int | None = None) -> int:
    """Return a descriptor (O_PATH) of the last path; each may not lead out of the one before.

    Whoever names `root` vouches for it: symlinks in it are followed. With `create_mode` folders
    that are missing are made. Raise OSError: EXDEV for a path that leads out.
    """
    here = os.open(root, _ROOT)
    for path in paths:
        walk = _Walk(here, create_mode)
        try:
            here = walk.end_of(path)
        finally:
            walk.close()
    return here


def openable(descriptor: int) -> str:
    """Return a path by which this process opens what the descriptor is of, and nothing else."""
    return f"/proc/self/fd/{descriptor}"


class _Walk:
    """One path's way: the folders from the root to here, each held open.

    A `..` goes back to a folder that was walked through, wherever it has been moved since.
    """

    def __init__(self, root: int, create_mode: int | None) -> None:
        self._trail = [root]
        self._create_mode = create_mode
        self._symlinks = 0

    def close(self) -> None:
        for descriptor in self._trail:
            os.close(descriptor)

    def end_of(self, path: str) -> int:
        names = _names(path)
        while names:
            names += self._step(names.pop())
        return self._trail.pop()

    def _step(self, name: str) -> list[str]:
        """Go one name on; return what a symlink puts in its place."""
        if name == "..":
            self._go_back()
            return []
        found = self._open(name)
        if not stat.S_ISLNK(os.fstat(found).st_mode):
            self._trail.append(found)
            return []
        try:
            target = os.readlink("", dir_fd=found)
        finally:
            os.close(found)
        return self._names_of(target)

    def _go_back(self) -> None:
        if len(self._trail) == 1:
            raise OSError(errno.EXDEV, "the path leads out of its folder")
        os.close(self._trail.pop())

    def _names_of(self, target: str) -> list[str]:
        self._symlinks += 1
        if self._symlinks > MAX_SYMLINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            raise OSError(errno.EXDEV, "a symlink leads out of its folder")
        return _names(target)

    def _open(self, name: str) -> int:
        if self._create_mode is None:
            return os.open(name, _STEP, dir_fd=self._trail[-1])
        with suppress(FileNotFoundError):
            return os.open(name, _STEP, dir_fd=self._trail[-1])
        with suppress(FileExistsError):  # somebody else has made it; what it is will be seen
            os.mkdir(name, self._create_mode, dir_fd=self._trail[-1])
        return os.open(name, _STEP, dir_fd=self._trail[-1])


def _names(path: str) -> list[str]:
    """Return a path's names, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
