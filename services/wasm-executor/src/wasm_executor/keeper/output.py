"""What a container says, on its way from two pipes into its log file.

At most 64 KiB per stream and turn. When the log cannot be written both pipes stay unread, so that
the guest waits and nothing is dropped.
"""

import os
import time
from collections.abc import Callable
from typing import Final

import msgspec

from wasm_executor.keeper.events import emit, warn
from wasm_executor.keeper.logfile import CriFormatter, LogFile
from wasm_executor.keeper.loop import EventLoop

READ_SIZE: Final = 64 * 1024
RETRY_AFTER_S: Final = 0.25


class OutputEnds(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The keeper's ends of a container's output, and where it goes."""

    stdout: int
    stderr: int
    log: LogFile

    def close(self) -> None:
        self.log.close()
        os.close(self.stdout)
        os.close(self.stderr)


class Output:
    """Both streams of one container, read from now on until their end.

    `on_failed` hears of what nobody foresaw.
    """

    def __init__(
        self,
        key: str,
        ends: OutputEnds,
        loop: EventLoop,
        on_finished: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        self._key = key
        self._log = ends.log
        self._loop = loop
        self._on_finished = on_finished
        self._on_failed = on_failed
        self._streams = {ends.stdout: CriFormatter("stdout"), ends.stderr: CriFormatter("stderr")}
        self._listen()

    @property
    def blocked(self) -> bool:
        return self._log.blocked

    @property
    def finished(self) -> bool:
        """Both pipes are at end-of-file and every byte is in the file."""
        return not self._streams and not self._log.blocked

    def abandon(self) -> None:
        """Give up what is unread and unwritten."""
        for fd in list(self._streams):
            self._drop_stream(fd)
        self._log.close()

    def _listen(self) -> None:
        for fd in self._streams:
            self._loop.add(fd, self._reader(fd), on_failed=self._on_failed)

    def _reader(self, fd: int) -> Callable[[], None]:
        return lambda: self._read(fd)

    def _read(self, fd: int) -> None:
        if self._log.blocked:
            return  # the other stream filled the disk in this very turn
        chunk = os.read(fd, READ_SIZE)
        formatter = self._streams[fd]
        now_ns = time.time_ns()
        lines = formatter.feed(chunk, now_ns) if chunk else formatter.finish(now_ns)
        if not chunk:
            self._drop_stream(fd)
        self._append(lines)
        self._finish()

    def _drop_stream(self, fd: int) -> None:
        del self._streams[fd]
        if not self._log.blocked:  # else it is not registered
            self._loop.remove(fd)
        os.close(fd)

    def _append(self, lines: bytes) -> None:
        error = self._log.write(lines)
        if error is not None:
            warn("log.write_blocked", key=self._key, error=str(error))
            for fd in self._streams:
                self._loop.remove(fd)
            self._loop.call_later(RETRY_AFTER_S, self._retry)

    def _retry(self) -> None:
        if not self._log.blocked:
            return  # abandoned meanwhile
        if self._log.retry() is not None:
            self._loop.call_later(RETRY_AFTER_S, self._retry)
            return
        emit("log.write_resumed", key=self._key)
        self._listen()
        self._finish()

    def _finish(self) -> None:
        if self.finished:
            self._log.close()
            self._on_finished()
