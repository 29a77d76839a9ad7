"""A layer's bytes as they were before they were packed: in constant memory, hashed and counted.

A few kilobytes may unpack to terabytes. So every unpacked byte is counted against what one image
may have in all, also those that no file will hold.
"""

import gzip
import hashlib
import io
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from backports import zstd

from wasm_executor.images.jobs import PullLimits

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_WINDOW: Final = 27
"""128 MiB: what `zstd --ultra` asks for, and no more of memory than that."""
_CHUNK: Final = 1 << 18


class UnpackError(Exception):
    """The layers cannot be made into files; the text says why."""


class Budget:
    """What one image may have, and what of it is left."""

    def __init__(self, limits: PullLimits) -> None:
        self._limits = limits
        self._bytes = limits.max_rootfs_bytes
        self._entries = limits.max_rootfs_entries

    def take_bytes(self, count: int) -> None:
        self._bytes -= count
        if self._bytes < 0:
            limit = self._limits.max_rootfs_bytes
            raise UnpackError(f"the image unpacks to more than {limit} bytes")

    def take_entries(self, count: int = 1) -> None:
        self._entries -= count
        if self._entries < 0:
            limit = self._limits.max_rootfs_entries
            raise UnpackError(f"the image has more than {limit} files and folders")


class LayerStream:
    """Reads one layer. How it is packed is told by its first bytes."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._file = path.open("rb")
        self._budget = budget
        self._hasher = hashlib.sha256()
        self._reader = _reader_of(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, size: int = _CHUNK) -> bytes:
        """Return some bytes; raise `UnpackError` for a stream that is broken, or without end."""
        try:
            chunk = self._reader.read(min(size, _CHUNK))
        except (zlib.error, EOFError, gzip.BadGzipFile, zstd.ZstdError) as error:
            raise UnpackError(f"it cannot be unpacked: {error}") from error
        self._budget.take_bytes(len(chunk))
        self._hasher.update(chunk)
        return chunk

    def digest(self) -> str:
        """Read to the end, and return the digest of all that there was."""
        while self.read():
            pass
        return f"sha256:{self._hasher.hexdigest()}"


def _reader_of(file: BinaryIO) -> io.BufferedIOBase | BinaryIO | zstd.ZstdFile:
    start = file.read(len(_ZSTD))
    file.seek(0)
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if start == _ZSTD:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
        return zstd.ZstdFile(file, "rb", options=options)
    return file
