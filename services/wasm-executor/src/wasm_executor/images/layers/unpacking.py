"""Layers of an ordinary image, one over the other, into a folder.

By the rules of the OCI image specification, as containerd applies them: a file replaces what was
there, `.wh.NAME` hides it, `.wh..wh..opq` hides all that was in its folder. What no guest could use
is left out: devices, pipes, owners, extended attributes, setuid bits.
"""

import errno
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from wasm_executor.images.layers.layerstream import Budget, LayerStream, UnpackError
from wasm_executor.images.layers.tree import Place, Tree

HIDES: Final = ".wh."
HIDES_ALL: Final = ".wh..wh..opq"
_OF_BUILDERS: Final = ".wh..wh."
"""Notes of an old union file system, which nobody needs."""
_CHUNK: Final = 1 << 18
_FAULTS_OF_IMAGES: Final = frozenset(
    {
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EXDEV,
    }
)


class Layer:
    """One layer on disk. `diff_id` is the digest of its content unpacked, where one is known."""

    def __init__(self, digest: str, path: Path, diff_id: str = "") -> None:
        self.digest = digest
        self.path = path
        self.diff_id = diff_id


def unpack(layers: Sequence[Layer], folder: Path, budget: Budget) -> None:
    """Fill the folder, which is there and empty; raise `UnpackError`, or OSError for the disk."""
    tree = Tree(str(folder), budget)
    for layer in layers:
        try:
            _unpack_one(layer, tree, budget)
        except UnpackError as error:
            raise UnpackError(f"failed to extract layer {layer.digest}: {error}") from error


def _unpack_one(layer: Layer, tree: Tree, budget: Budget) -> None:
    tree.begin_layer()
    with LayerStream(layer.path, budget) as stream:
        _apply(stream, tree)
        found = stream.digest()
    if layer.diff_id and found != layer.diff_id:
        raise UnpackError(f"wrong diff id calculated on extraction {found}, want {layer.diff_id}")


def _apply(stream: LayerStream, tree: Tree) -> None:
    try:
        # Of a stream that is read from front to back, no more than `read` is asked.
        with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r|") as entries:
            for entry in entries:
                _put(entries, entry, tree)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise UnpackError(f"it is not a tar archive that can be read: {error}") from error
    except MemoryError as error:
        raise UnpackError("its headers are too large") from error


def _put(entries: tarfile.TarFile, entry: tarfile.TarInfo, tree: Tree) -> None:
    if _is_note(entry.name):
        return
    try:
        with tree.place(entry.name) as at:
            if at is None:
                return
            if at.name.startswith(HIDES):
                _hide(at, tree)
            else:
                _put_entry(entries, entry, at, tree)
    except OSError as error:
        raise _readable(error, entry.name) from error


def _is_note(path: str) -> bool:
    names = path.split("/")
    return any(name.startswith(_OF_BUILDERS) and name != HIDES_ALL for name in names)


def _hide(at: Place, tree: Tree) -> None:
    if at.name == HIDES_ALL:
        if len(at.names) == 1:
            tree.hide_all()
        else:
            with tree.place("/".join(at.names[:-1])) as folder:
                assert folder is not None
                tree.hide_below(folder)
        return
    hidden = at.name.removeprefix(HIDES)
    if hidden in ("", ".", ".."):
        raise UnpackError(f"invalid whiteout name: {'/'.join(at.names)[:200]!r}")
    tree.hide(Place(at.folder, (*at.names[:-1], hidden)))


def _put_entry(entries: tarfile.TarFile, entry: tarfile.TarInfo, at: Place, tree: Tree) -> None:
    if entry.isdir():
        tree.put_folder(at, entry.mode)
    elif entry.issym():
        tree.put_symlink(at, entry.linkname)
    elif entry.islnk():
        tree.put_link(at, entry.linkname)
    elif entry.isreg():
        _put_file(entries, entry, at, tree)


def _put_file(entries: tarfile.TarFile, entry: tarfile.TarInfo, at: Place, tree: Tree) -> None:
    if entry.issparse():
        raise UnpackError(f"{entry.name[:200]!r} is a sparse file, which is not unpacked")
    content = entries.extractfile(entry)
    assert content is not None
    with open(tree.new_file(at, entry.mode), "wb") as file:  # noqa: PTH123 - a descriptor
        while chunk := content.read(_CHUNK):
            file.write(chunk)
        file.flush()
        os.utime(file.fileno(), ns=_times(entry))


def _times(entry: tarfile.TarInfo) -> tuple[int, int]:
    """Keep the time of change, so that equal images look alike; a mad one is none."""
    seconds = entry.mtime if 0 <= entry.mtime < 1 << 33 else 0
    nanoseconds = int(seconds * 1_000_000_000)
    return nanoseconds, nanoseconds


def _readable(error: OSError, name: str) -> Exception:
    """A name that no file system takes is the image's fault, a full disk is not."""
    if error.errno in _FAULTS_OF_IMAGES:
        return UnpackError(f"{name[:200]!r}: {os.strerror(error.errno).lower()}")
    return error
