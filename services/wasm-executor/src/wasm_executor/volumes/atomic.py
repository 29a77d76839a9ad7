"""Files that change all at once under a running guest, laid out as a kubelet's AtomicWriter does.

    ..2026_11_21_12_00_00.1234567890/   the files of one version
    ..data -> ..2026_11_21_12_00_00.1234567890
    name -> ..data/name                 for the first name of each path

An update is a new folder and one rename, of `..data_tmp` over `..data`. What a crash leaves half
done is swept by the next update. The volume is private to this node's executor, and guests see it
read-only; so nothing in it is a trap.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from contract.messages.volume import Files, VolumeFile

DATA: Final = "..data"
DATA_TMP: Final = "..data_tmp"
RESERVED: Final = ".."
MAX_NAME: Final = 255
MAX_PATH: Final = 4096
_FOLDER_MODE: Final = 0o755
_PRIVATE: Final = 0o600

type LinkFile = Callable[[VolumeFile, str], None]


class InvalidPathError(ValueError):
    """A path that no volume may have; in the kubelet's words."""


class UnwritableError(ValueError):
    """A file that cannot be put into its volume, such as `a` where `a/b` is one too."""


class AtomicFolder:
    """One volume's folder. Whoever writes it sees to it that nobody else does."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._record = f"{folder}.written"
        """What lies there, as planned. Modes may forbid to read it back."""

    def write(self, files: Files, link: LinkFile) -> bool:
        """Have these files there, and no others; False if they are there already. Blocks."""
        wanted = msgspec.msgpack.encode(sorted(files.files, key=lambda each: each.path))
        if self._recorded() == wanted:
            return False
        for file in files.files:
            require_valid(file.path)
        is_new = not os.path.isdir(self._folder)  # noqa: PTH112 - hot
        if is_new:
            os.makedirs(self._folder, mode=_FOLDER_MODE, exist_ok=True)  # noqa: PTH103 - hot
        version = self._new_version(files, link)
        if is_new:
            os.symlink(version, f"{self._folder}/{DATA}")  # noqa: PTH211 - hot
        else:
            self._publish(version)
        self._show(files)
        if not is_new:
            self._sweep(version)
        self._set_record(wanted)
        return True

    def _recorded(self) -> bytes | None:
        with suppress(OSError):
            return Path(self._record).read_bytes()
        return None

    def _set_record(self, wanted: bytes) -> None:
        """Written last: after a crash before it, the same files are written once more."""
        partial = f"{self._record}.partial"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
            file.write(wanted)
        os.replace(partial, self._record)  # noqa: PTH105 - as above

    def _new_version(self, files: Files, link: LinkFile) -> str:
        now = datetime.now(UTC)
        random = int.from_bytes(os.urandom(4))
        version = f"{RESERVED}{now:%Y_%m_%d_%H_%M_%S}.{random:010}"
        folder = f"{self._folder}/{version}"
        os.mkdir(folder, _FOLDER_MODE)  # noqa: PTH102 - hot
        try:
            for file in files.files:
                _place(file, f"{folder}/{file.path}", link)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return version

    def _publish(self, version: str) -> None:
        new = Path(self._folder, DATA_TMP)
        new.unlink(missing_ok=True)  # a crash left it
        new.symlink_to(version)
        new.rename(Path(self._folder, DATA))

    def _show(self, files: Files) -> None:
        for name in {_first_name(each.path) for each in files.files}:
            with suppress(FileExistsError):
                os.symlink(f"{DATA}/{name}", f"{self._folder}/{name}")  # noqa: PTH211 - hot

    def _sweep(self, version: str) -> None:
        """Remove names that lead nowhere now, and all versions but this one."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if entry.name != DATA and not os.path.lexists(
                        f"{self._folder}/{DATA}/{entry.name}"
                    ):
                        os.unlink(entry.path)  # noqa: PTH108 - hot
                elif entry.name != version:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _place(file: VolumeFile, path: str, link: LinkFile) -> None:
    try:
        if "/" in file.path:
            Path(path).parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        link(file, path)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise UnwritableError(f"cannot write {file.path}: {reason}") from error


def is_published(folder: str) -> bool:
    """Say whether some version lies there, whole."""
    return os.path.isdir(f"{folder}/{DATA}")  # noqa: PTH112 - on the way of every start


def _first_name(path: str) -> str:
    return os.path.normpath(path).partition("/")[0]


def require_valid(path: str) -> None:
    """Raise `InvalidPathError` for what could lead out of a volume or hide its inner parts."""
    if not path:
        raise InvalidPathError('invalid path: must not be empty: ""')
    if path.startswith("/"):
        raise InvalidPathError(f"invalid path: must be relative path: {path}")
    if len(path.encode()) > MAX_PATH:
        raise InvalidPathError(f"invalid path: must be less than or equal to {MAX_PATH} characters")
    names = path.split("/")
    if ".." in names:
        raise InvalidPathError(f"invalid path: must not contain '..': {path}")
    if any(len(each.encode()) > MAX_NAME for each in names):
        raise InvalidPathError(
            f"invalid path: filenames must be less than or equal to {MAX_NAME} characters"
        )
    if names[0].startswith(RESERVED):
        raise InvalidPathError(f"invalid path: must not start with '..': {path}")
