"""Lines for people: what cannot be written once does not silence what follows."""

import errno
import io
import sys

import pytest

from wasmlet.telling import say


class Full(io.RawIOBase):
    """A file on a disk that is full for its first write."""

    def __init__(self) -> None:
        self.written = b""
        self._is_full = True

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        if self._is_full:
            self._is_full = False
            raise OSError(errno.ENOSPC, "No space left on device")
        new = bytes(memoryview(content))  # type: ignore[arg-type]  # any buffer
        self.written += new
        return len(new)


def test_a_disk_that_was_full_for_a_moment_gets_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Full()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(disk), "utf-8"))
    say("first")
    say("second")
    assert disk.written.endswith(b"second\n")
