"""One running container as its keeper sees it: a pid, two pipes, a log file.

At most 64 KiB per stream and turn. When the log cannot be written both pipes stay unread, so that
the guest waits and nothing is dropped. The end is told only when the process is reaped, both pipes
are at end-of-file and every byte is in the file.
"""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from wasm_executor.keeper.events import emit, warn
from wasm_executor.keeper.logfile import CriFormatter, LogFile
from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.protocol import ContainerProcess, Exit

READ_SIZE: Final = 64 * 1024
RETRY_AFTER_S: Final = 0.25


class Pipes(msgspec.Struct, kw_only=True):
    """The keeper's ends."""

    stdin: int | None
    stdout: int
    stderr: int


class RunningContainer:
    """A container between its record and its exit."""

    def __init__(
        self,
        process: ContainerProcess,
        pipes: Pipes,
        log: LogFile,
        loop: EventLoop,
        on_ended: Callable[[Exit], None],
    ) -> None:
        self.process = process
        self._stdin = pipes.stdin
        self._log = log
        self._loop = loop
        self._on_ended = on_ended
        self._wait_status: int | None = None
        self._ended_at: datetime | None = None
        self._streams = {
            pipes.stdout: CriFormatter("stdout"),
            pipes.stderr: CriFormatter("stderr"),
        }
        for fd in self._streams:
            loop.add(fd, self._reader(fd), on_failed=self._give_up)

    @property
    def log_blocked(self) -> bool:
        return self._log.blocked

    @property
    def reaped(self) -> bool:
        """The pid is free: no signal may go to it any more."""
        return self._wait_status is not None

    def signal(self, signum: int) -> None:
        if not self.reaped:
            os.kill(self.process.pid, signum)

    def close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def reap(self, wait_status: int) -> None:
        self._wait_status = wait_status
        self._ended_at = datetime.now(UTC)
        self.close_stdin()
        self._tell_end()

    def abandon(self) -> None:
        """Give up what is unwritten; for one that is reaped and no longer of interest."""
        for fd in list(self._streams):
            self._drop_stream(fd)
        self._log.close()

    def _give_up(self) -> None:
        """Its output cannot be kept, for a reason that nobody foresaw: it must not run on."""
        self.signal(signal.SIGKILL)
        self.abandon()
        self._tell_end()

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
        self._tell_end()

    def _drop_stream(self, fd: int) -> None:
        del self._streams[fd]
        if not self._log.blocked:  # else it is not registered
            self._loop.remove(fd)
        os.close(fd)

    def _append(self, lines: bytes) -> None:
        error = self._log.write(lines)
        if error is not None:
            warn("log.write_blocked", key=self.process.key, error=str(error))
            for fd in self._streams:
                self._loop.remove(fd)
            self._loop.call_later(RETRY_AFTER_S, self._retry)

    def _retry(self) -> None:
        if not self._log.blocked:
            return  # abandoned meanwhile
        if self._log.retry() is not None:
            self._loop.call_later(RETRY_AFTER_S, self._retry)
            return
        emit("log.write_resumed", key=self.process.key)
        for fd in self._streams:
            self._loop.add(fd, self._reader(fd), on_failed=self._give_up)
        self._tell_end()

    def _tell_end(self) -> None:
        if self._wait_status is None or self._streams or self._log.blocked:
            return
        assert self._ended_at is not None
        self._log.close()
        code = os.waitstatus_to_exitcode(self._wait_status)
        self._on_ended(
            Exit(
                key=self.process.key,
                code=code if code >= 0 else 128 - code,
                signal=signal.Signals(-code) if code < 0 else None,
                at=self._ended_at,
                started_at=self.process.started_at,
            )
        )
