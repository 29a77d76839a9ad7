"""One running container as its keeper sees it: a pid, its stdin and what it says.

The end is told only when the process is reaped and its log has every line. An exec has no log: its
output is its caller's own, and its end is told at once.
"""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.output import Output, OutputEnds
from wasm_executor.keeper.protocol import ContainerProcess, Exit, Refusal


class OurEnds(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the keeper holds of a container's stdio: nothing of an exec's."""

    stdin: int | None = None
    output: OutputEnds | None = None

    def close(self) -> None:
        if self.stdin is not None:
            os.close(self.stdin)
        if self.output is not None:
            self.output.close()


class RunningContainer:
    """A container between its record and its exit."""

    def __init__(
        self,
        process: ContainerProcess,
        ends: OurEnds,
        loop: EventLoop,
        on_ended: Callable[[Exit], None],
    ) -> None:
        self.process = process
        self._stdin = ends.stdin
        if self._stdin is not None:
            os.set_blocking(self._stdin, False)  # its own end alone: the guest's still blocks
        self._on_ended = on_ended
        self._wait_status: int | None = None
        self._ended_at: datetime | None = None
        self._ended_mono = 0.0
        self._output: Output | None = None
        if ends.output is not None:
            self._output = Output(process.key, ends.output, loop, self._tell_end, self._give_up)

    @property
    def log_blocked(self) -> bool:
        return self._output is not None and self._output.blocked

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

    def write_stdin(self, data: bytes) -> Refusal | None:
        """Give it all of these bytes, or say why not."""
        if self._stdin is None:
            return Refusal.STDIN_CLOSED
        try:
            os.write(self._stdin, data)
        except BlockingIOError:
            return Refusal.STDIN_FULL
        except BrokenPipeError:
            self.close_stdin()
            return Refusal.STDIN_CLOSED
        return None

    def reap(self, wait_status: int) -> None:
        self._wait_status = wait_status
        self._ended_at, self._ended_mono = datetime.now(UTC), time.monotonic()
        self.close_stdin()
        self._tell_end()

    def abandon(self) -> None:
        """Give up what is unwritten; for one that is reaped and no longer of interest."""
        if self._output is not None:
            self._output.abandon()

    def _give_up(self) -> None:
        """Its output cannot be kept, for a reason that nobody foresaw: it must not run on."""
        self.signal(signal.SIGKILL)
        self.abandon()
        self._tell_end()

    def _tell_end(self) -> None:
        if self._wait_status is None or not (self._output is None or self._output.finished):
            return
        assert self._ended_at is not None
        code = os.waitstatus_to_exitcode(self._wait_status)
        self._on_ended(
            Exit(
                key=self.process.key,
                code=code if code >= 0 else 128 - code,
                signal=signal.Signals(-code) if code < 0 else None,
                at=self._ended_at,
                at_mono=self._ended_mono,
                started_at=self.process.started_at,
            )
        )
