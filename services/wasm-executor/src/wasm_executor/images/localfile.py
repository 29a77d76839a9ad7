"""Images that are files on this machine: `file:/absolute/path.wasm`.

They are for static pods. A manifest could name any file that the executor can read, so a file
counts only when it lies, with every symbolic link followed, in a folder that the node allows. What
lies elsewhere is answered in the same words whether it is there or not, and is never opened for
reading: a path is looked at only if it names an allowed folder, then held by a descriptor that can
read nothing, judged by where that one lies, and read through it. Nothing can be exchanged between.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from wasm_executor.images.errors import ImagePullError, InvalidImageNameError
from wasm_executor.images.policy import pull_failed

PREFIX: Final = "file:"
_REMEMBERED: Final = 1024


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """One state of one file. `path` has no symbolic link in it."""

    path: Path
    identity: tuple[int, ...]
    size_bytes: int


class HashedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a file and the digest of its content in that state."""

    file: LocalFile
    digest: str


class LocalFiles:
    """Finds and hashes the files of `file:` images; a file that has not changed is hashed once."""

    def __init__(self, folders: Iterable[Path]) -> None:
        named = tuple(folder.absolute() for folder in folders)
        self._folders = tuple(folder.resolve() for folder in named)
        self._named = (*named, *self._folders)
        """By any of their names; links lead to other places."""
        self._digests: dict[tuple[int, ...], str] = {}

    def find(self, image: str) -> LocalFile:
        """Return the file's present state, or say why it is no image."""
        with self._opened(image) as (descriptor, path):
            return _state_of(descriptor, path)

    def known_digests(self) -> set[str]:
        return set(self._digests.values())

    def known_digest(self, file: LocalFile) -> str | None:
        return self._digests.get(file.identity)

    def hash(self, image: str) -> HashedFile:
        """Read the whole file. Blocks: call it in a thread."""
        with self._opened(image) as (descriptor, path):
            before = _state_of(descriptor, path)
            with os.fdopen(os.dup(descriptor), "rb") as content:
                digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
            if _state_of(descriptor, path) != before:
                raise pull_failed(image, f"{path} changed while it was read")
        if len(self._digests) >= _REMEMBERED:
            self._digests.clear()
        self._digests[before.identity] = digest
        return HashedFile(file=before, digest=digest)

    @contextmanager
    def _opened(self, image: str) -> Iterator[tuple[int, Path]]:
        asked = _path_of(image)
        if not _lies_in(Path(os.path.normpath(asked)), self._named):
            raise _outside(image, asked)
        with _closing(self._hold(image, asked)) as held:
            path = Path(f"/proc/self/fd/{held}").readlink()
            if not _lies_in(path, self._folders):
                raise _outside(image, asked)
            if not stat.S_ISREG(os.fstat(held).st_mode):
                raise pull_failed(image, f"{asked} is not a regular file")
            with _closing(_open(image, asked, f"/proc/self/fd/{held}", os.O_RDONLY)) as descriptor:
                yield descriptor, path

    def _hold(self, image: str, asked: str) -> int:
        """Return a descriptor that can read nothing.

        That nothing is there is said only of the folders themselves, not of where a link leads.
        """
        try:
            return _open(image, asked, asked, os.O_PATH)
        except ImagePullError:
            if _lies_in(Path(os.path.realpath(asked)), self._folders):
                raise
            raise _outside(image, asked) from None


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(image: str, asked: str, path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        text = (error.strerror or "").lower()
        raise pull_failed(image, f"open {asked}: {text}") from error


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _path_of(image: str) -> str:
    path = image.removeprefix(PREFIX).removeprefix("//")
    if not path.startswith("/") or "\0" in path:
        raise InvalidImageNameError(image, "invalid reference format: want file:/absolute/path")
    return path


def _state_of(descriptor: int, path: Path) -> LocalFile:
    seen = os.fstat(descriptor)
    identity = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return LocalFile(path=path, identity=identity, size_bytes=seen.st_size)


def _outside(image: str, asked: str) -> ImagePullError:
    """Say nothing that only somebody who looked could know."""
    return pull_failed(image, f"{asked} lies outside the folders that this node allows for images")
