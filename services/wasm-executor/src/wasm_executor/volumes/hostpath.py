"""hostPath: folders and files of the node, where its operator allows them.

Nothing is allowed unless a prefix is. Below a prefix the path is walked without following anything
out of it: whoever may write there decides what is in there, not where it leads.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from contract.messages.volume import HostPath
from wasm_executor.container.beneath import open_beneath, openable

DIRECTORY: Final = "Directory"
FILE: Final = "File"
OR_CREATE: Final = "OrCreate"
_FOLDER_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Final = {DIRECTORY: "a directory", FILE: "a file"}
_NOT_SERVED: Final = frozenset({"Socket", "CharDevice", "BlockDevice"})


class HostPathRefusedError(Exception):
    """Why not: a reason of `MountError`."""


class HostPlace(NamedTuple):
    """A path of the host in two parts: one that the operator vouches for, and the rest."""

    prefix: str
    rest: str


class HostPaths:
    """`allowed` are absolute paths, below which (and which themselves) pods may name paths."""

    def __init__(self, allowed: Sequence[Path]) -> None:
        self._allowed = sorted((str(each) for each in allowed), key=len, reverse=True)

    def place(self, path: str) -> HostPlace:
        """Return where a path begins to be the pod's wish; raise `HostPathRefusedError`."""
        if ".." in path.split("/"):
            raise HostPathRefusedError(f"invalid HostPath `{path}`: must not contain '..'")
        if not self._allowed:
            raise HostPathRefusedError(f"hostPath {path}: this node allows no hostPath volumes")
        wanted = posixpath.normpath("/" + path.lstrip("/"))
        for prefix in self._allowed:
            rest = _below(wanted, prefix)
            if rest is not None:
                return HostPlace(prefix, rest)
        allowed = ", ".join(self._allowed)
        raise HostPathRefusedError(
            f"hostPath {path}: this node allows hostPath volumes only below {allowed}"
        )

    def prepare(self, source: HostPath) -> None:
        """See that it is there and what it should be; make it where its type says so. Blocks."""
        place = self.place(source.path)
        kind = source.path_type.removesuffix(OR_CREATE)
        if kind in _NOT_SERVED:
            raise HostPathRefusedError(
                f"hostPath type {kind}: a WebAssembly guest can use neither sockets nor devices"
            )
        if kind and kind not in _KINDS:
            raise HostPathRefusedError(f"{source.path_type} is an invalid volume type")
        try:
            if source.path_type != kind or not kind:
                with suppress(FileExistsError):
                    _make(place, is_file=kind == FILE)
            _require_kind(place, source.path, kind)
        except OSError as error:
            raise HostPathRefusedError(_why(error, source.path, place)) from error


def _why(error: OSError, path: str, place: HostPlace) -> str:
    """Say of which path it is true: a pod may have several."""
    if error.errno == errno.EXDEV:
        return f"hostPath {path}: a symlink on its way leads out of {place.prefix}"
    return f"hostPath {path}: {os.strerror(error.errno or 0)}"


def _make(place: HostPlace, *, is_file: bool) -> None:
    """Make what is missing; FileExistsError or nothing where something is there.

    Without a type a folder is made, as container runtimes do.
    """
    with suppress(FileNotFoundError):
        os.close(open_beneath(place.prefix, (place.rest,)))
        return
    if not is_file:
        os.close(open_beneath(place.prefix, (place.rest,), create_mode=_FOLDER_MODE))
        return
    parent, name = posixpath.split(place.rest)
    folder = open_beneath(place.prefix, (parent,))
    try:
        os.close(os.open(name, _CREATE, _FILE_MODE, dir_fd=folder))
    finally:
        os.close(folder)


def _require_kind(place: HostPlace, path: str, kind: str) -> None:
    found = _kind_of(place)
    if kind and found != kind:
        raise HostPathRefusedError(f"hostPath type check failed: {path} is not {_KINDS[kind]}")
    if not found:
        raise HostPathRefusedError(f"hostPath {path} is neither a directory nor a file")


def _kind_of(place: HostPlace) -> str:
    with suppress(FileNotFoundError):
        descriptor = open_beneath(place.prefix, (place.rest,))
        try:
            mode = os.stat(openable(descriptor)).st_mode  # noqa: PTH116 - of a descriptor
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(mode):
            return DIRECTORY
        if stat.S_ISREG(mode):
            return FILE
    return ""


def _below(path: str, prefix: str) -> str | None:
    if prefix == "/":
        return path.lstrip("/")
    if path == prefix:
        return ""
    return path.removeprefix(prefix + "/") if path.startswith(prefix + "/") else None
