"""A root file system while it is made: whatever is put into it stays in it.

Layers are made by strangers. A symbolic link of one may be the folder of the next one's file, so no
path is ever handed to the kernel whole: folders are walked by descriptor, and a link that would
lead out is written so that it leads to the same place inside, as it would in a container.
"""

import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.images.layers.layerstream import Budget, UnpackError

MOST_DEEP: Final = 128
_FOLDER_MODE: Final = 0o755
_OWN_FOLDER: Final = 0o700
_OWN_FILE: Final = 0o400
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

type Names = tuple[str, ...]


class Place:
    """Where an entry goes: an open folder, and a name in it."""

    def __init__(self, folder: int, names: Names) -> None:
        self.folder = folder
        self.names = names
        """The path from the root, without any symbolic link in it."""

    @property
    def name(self) -> str:
        return self.names[-1]

    def mode(self) -> int:
        """Return the kind of what is there, 0 if nothing is."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return 0


class Tree:
    """The files below `root`, layer upon layer."""

    def __init__(self, root: str, budget: Budget) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._budget = budget
        self._fresh: set[Names] = set()
        """What the present layer has put, and the folders around it: not hidden by it."""

    def begin_layer(self) -> None:
        self._fresh = set()

    @contextmanager
    def place(self, path: str) -> Iterator[Place | None]:
        """Open the folder that a path lies in, and make it where it is not there.

        None is the root itself.
        """
        names = names_of(path)
        if not names:
            yield None
            return
        self._budget.take_entries()
        folder = open_beneath(self._root, ("/".join(names[:-1]),), create_mode=_FOLDER_MODE)
        try:
            yield Place(folder, (*self._names_of(folder), names[-1]))
        finally:
            os.close(folder)

    def put_folder(self, at: Place, mode: int) -> None:
        if not stat.S_ISDIR(at.mode()):
            self._clear(at)
            os.mkdir(at.name, dir_fd=at.folder)
        os.chmod(at.name, mode & 0o777 | _OWN_FOLDER, dir_fd=at.folder)
        self._mark(at)

    def new_file(self, at: Place, mode: int) -> int:
        """Return a descriptor for its content. It is a new one: the old one may have other names"""
        self._clear(at)
        descriptor = os.open(at.name, _NEW_FILE, 0o600, dir_fd=at.folder)
        os.fchmod(descriptor, mode & 0o777 | _OWN_FILE)
        self._mark(at)
        return descriptor

    def put_symlink(self, at: Place, target: str) -> None:
        self._clear(at)
        os.symlink(inner_target(at.names[:-1], target), at.name, dir_fd=at.folder)
        self._mark(at)

    def put_link(self, at: Place, path: str) -> None:
        """Give a file of this image a second name."""
        names = names_of(path)
        folder = open_beneath(self._root, ("/".join(names[:-1]),))
        try:
            source = Place(folder, (*self._names_of(folder), *names[-1:]))
            if source.names == at.names:
                return
            mode = source.mode() if names else 0
            if stat.S_ISLNK(mode):
                target = os.readlink(source.name, dir_fd=folder)
                self.put_symlink(at, posixpath.join("/", *source.names[:-1], target))
                return
            if not stat.S_ISREG(mode):
                raise UnpackError(f"the hard link {'/'.join(at.names)!r} is of no file: {path!r}")
            self._clear(at)
            os.link(
                source.name, at.name, src_dir_fd=folder, dst_dir_fd=at.folder, follow_symlinks=False
            )
        finally:
            os.close(folder)
        self._mark(at)

    def hide(self, at: Place) -> None:
        """Remove what layers before this one have put there."""
        if at.names not in self._fresh:
            self._clear(at)
        elif stat.S_ISDIR(at.mode()):
            self.hide_below(at)

    def hide_below(self, at: Place) -> None:
        """Remove what layers before this one have put into a folder."""
        folder = os.open(at.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at.folder)
        try:
            self._hide_all(folder, at.names)
        finally:
            os.close(folder)

    def hide_all(self) -> None:
        """The same of the root."""
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._hide_all(folder, ())
        finally:
            os.close(folder)

    def _hide_all(self, folder: int, names: Names) -> None:
        for name in os.listdir(folder):
            self.hide(Place(folder, (*names, name)))

    def _names_of(self, folder: int) -> Names:
        """Say where an open folder is: the way to it may have led through links."""
        path = str(Path(openable(folder)).readlink())
        return names_of(path.removeprefix(self._real_root))

    def _clear(self, at: Place) -> None:
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(at.mode()):
                shutil.rmtree(at.name, dir_fd=at.folder)
            else:
                os.unlink(at.name, dir_fd=at.folder)

    def _mark(self, at: Place) -> None:
        names = at.names
        self._fresh.add(names)
        while (names := names[:-1]) and names not in self._fresh:
            self._fresh.add(names)
            self._budget.take_entries()


def names_of(path: str) -> Names:
    """Return the steps of an entry's path; raise `UnpackError` for one that climbs."""
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise UnpackError(f"the path {path[:200]!r} leads out of the image")
    if len(names) > MOST_DEEP:
        raise UnpackError(f"the path {path[:200]!r} has more than {MOST_DEEP} folders")
    return names


def inner_target(parent: Names, target: str) -> str:
    """Return a link's target as it is, or written from its folder where it would lead out."""
    way = [] if target.startswith("/") else list(parent)
    climbs = target.startswith("/")
    for name in target.split("/"):
        if name == "..":
            climbs = climbs or not way
            way = way[:-1]
        elif name not in ("", "."):
            way.append(name)
    if not target:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return posixpath.relpath("/" + "/".join(way), "/" + "/".join(parent)) if climbs else target
