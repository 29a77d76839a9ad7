"""CRI log files: `<RFC 3339 with nanoseconds> <stream> <F|P> <content>`, rotated by size.

Written in whole turns: one timestamp and one write for all that a read brought, because a loop
over lines would be the bottleneck of every chatty container. A line longer than 16 KiB is cut into
P lines, as containerd does. What a full disk does not take stays with the caller's promise: the
file says so, keeps the rest, and drops nothing. This module knows nothing of processes.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

LINE_LIMIT: Final = 16 * 1024
_ROTATED: Final = re.compile(r"\.(\d{8}-\d{6})(?:\.(\d+))?")


class CriFormatter:
    """Turns one stream's bytes into CRI lines; holds back an unfinished line."""

    def __init__(self, stream: str) -> None:
        self._stream = stream.encode()
        self._tail = b""

    def feed(self, chunk: bytes, now_ns: int) -> bytes:
        """Return the lines that are whole now."""
        head = timestamp(now_ns) + b" " + self._stream
        full, partial = head + b" F ", head + b" P "
        data = self._tail + chunk
        lines: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            # The last line end within reach: everything up to it is whole and short enough.
            newline = data.rfind(b"\n", at, min(end, at + LINE_LIMIT + 1))
            if newline >= 0:
                lines += (full, data[at:newline].replace(b"\n", b"\n" + full), b"\n")
                at = newline + 1
            elif end - at > LINE_LIMIT:
                lines += (partial, data[at : at + LINE_LIMIT], b"\n")
                at += LINE_LIMIT
            else:
                break
        self._tail = data[at:]
        return b"".join(lines)

    def finish(self, now_ns: int) -> bytes:
        """Return what came after the last line end, as a P line: it has no end of its own."""
        rest, self._tail = self._tail, b""
        return b"%b %b P %b\n" % (timestamp(now_ns), self._stream, rest) if rest else b""


def timestamp(now_ns: int) -> bytes:
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return b"%b.%09dZ" % (whole.encode(), nanoseconds)


class LogFile:
    """One container's log: appends, rotates, and waits out a full disk."""

    def __init__(self, path: Path, *, max_bytes: int, max_files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._fd: int | None = None
        self._size = 0
        self._pending = b""
        self._open()

    @property
    def blocked(self) -> bool:
        """Bytes wait for room: read no more, and call `retry` from time to time."""
        return bool(self._pending)

    def write(self, lines: bytes) -> OSError | None:
        """Append; an error means that the rest waits for `retry`."""
        self._pending += lines
        return self.retry()

    def retry(self) -> OSError | None:
        try:
            fd = self._open() if self._fd is None else self._fd
            while self._pending:
                written = os.write(fd, self._pending)
                self._size += written
                self._pending = self._pending[written:]
        except OSError as error:
            return error
        if self._size >= self._max_bytes:
            self._rotate()
        return None

    def close(self) -> None:
        """Close; what still waits for room is given up."""
        self._pending = b""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._fd, self._size = fd, os.fstat(fd).st_size
        if self._size and os.pread(fd, 1, self._size - 1) != b"\n":
            # A keeper was killed inside a line; the next one must not grow out of it.
            self._pending = b"\n" + self._pending
        return fd

    def _rotate(self) -> None:
        """Rename and begin anew. On failure the file grows on and the next write tries again."""
        with suppress(OSError):
            self._path.rename(self._rotated_name())
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            self._open()
            self._prune()

    def _rotated_name(self) -> Path:
        """`.n` keeps names apart, and in order, within one second."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        newest = max(
            (_rotation(self._path, old) for old in rotated_files(self._path)), default=None
        )
        if newest is None or newest[0] < stamp:
            return self._path.with_name(f"{self._path.name}.{stamp}")
        return self._path.with_name(f"{self._path.name}.{newest[0]}.{newest[1] + 1}")

    def _prune(self) -> None:
        surplus = len(files := rotated_files(self._path)) - (self._max_files - 1)
        for old in files[: max(0, surplus)]:
            old.unlink(missing_ok=True)


def rotated_files(path: Path) -> list[Path]:
    """The rotated predecessors of a log file, oldest first; all of them plain text."""
    found: list[Path] = []
    with suppress(FileNotFoundError):
        found = [
            path.with_name(name)
            for name in os.listdir(path.parent)  # noqa: PTH208 - names, not Paths, to match
            if name.startswith(path.name) and _ROTATED.fullmatch(name, len(path.name))
        ]
    return sorted(found, key=lambda old: _rotation(path, old))


def _rotation(path: Path, rotated: Path) -> tuple[str, int]:
    match = _ROTATED.fullmatch(rotated.name, len(path.name))
    assert match is not None
    return match[1], int(match[2] or 0)
