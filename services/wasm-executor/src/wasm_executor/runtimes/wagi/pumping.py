"""Moves bytes between a client and the program that answers it: both ways at once, none kept.

The program has a socket for its stdin and a pipe for its stdout. What it writes waits in the pipe
while the client does not take it, and what the client sends waits in its own socket while the
program does not read it.
"""

import os
import select
import time
from typing import Final

from wasm_executor.runtimes.wagi.answering import Output
from wasm_executor.runtimes.wagi.running import Running
from wasm_executor.runtimes.wasihttp import overdue
from wasm_executor.runtimes.wasihttp.errors import (
    RequestTimeoutError,
    StreamClosedError,
    StreamFailedError,
)
from wasm_executor.runtimes.wasihttp.messages import HELD_BACK, IncomingBody

AT_ONCE: Final = 16 * 1024
UNSAID_S: Final = 0.02
"""A program that pauses for so long has the client see what it has written."""
LEEWAY_S: Final = overdue.LEEWAY_S / 2
"""The program is ended by its own timer; a busy machine may be late, but no later than the watch,
which ends all that this worker does."""


class Pump:
    """What goes through one request's pipes."""

    def __init__(
        self, body: IncomingBody | None, running: Running, output: Output, deadline: float
    ) -> None:
        self._body = body
        self._running = running
        self._output = output
        self._deadline = deadline
        self._pending = b""
        self._unsaid = False
        for fd in (running.stdin, running.stdout):
            assert fd is not None
            os.set_blocking(fd, False)

    def run(self) -> None:
        """Return when the program has closed its output.

        Raise `StreamClosedError` when the client has gone, `BodyTooLargeError` when it sends too
        much, and `RequestTimeoutError` when time is up.
        """
        while self._drain():
            if time.monotonic() >= self._until():
                raise RequestTimeoutError("the client has not taken the answer in time")
            self._feed()
            self._wait()

    def _until(self) -> float:
        """Return when nothing more is waited for: the program's end is not seen without room."""
        return self._deadline + (LEEWAY_S if self._room() > 0 else 0)

    def _feed(self) -> None:
        """Give the program what has come of the body."""
        stdin = self._running.stdin
        if stdin is None:
            return
        if self._body is None:
            self._running.end_stdin()
            return
        try:
            while pending := self._pending or self._body.read(AT_ONCE):
                self._pending = pending  # kept, should the pipe be full
                self._pending = pending[os.write(stdin, pending) :]
        except BlockingIOError:
            return
        except (StreamClosedError, BrokenPipeError, ConnectionResetError):
            self._running.end_stdin()
        except StreamFailedError as error:
            raise StreamClosedError("the client has gone, and its body has no end") from error

    def _drain(self) -> bool:
        """Take what the program has written, while there is room; False at its end."""
        room = self._room()
        if room <= 0:
            return True
        try:
            data = os.read(self._running.stdout, min(room, AT_ONCE))
        except BlockingIOError:
            return True
        if data:
            self._output.take(data)
            self._unsaid = True
        return bool(data)

    def _room(self) -> int:
        body = self._output.body
        return HELD_BACK if body is None else body.room()

    def _wait(self) -> None:
        poll, wanted = select.poll(), self._wanted()
        for fd, events in wanted.items():
            poll.register(fd, events)
        quiet = self._unsaid and self._output.body is not None
        left_s = max(0.0, self._until() - time.monotonic())
        if not poll.poll((UNSAID_S if quiet else left_s) * 1000) and quiet:
            assert self._output.body is not None
            self._output.body.flush()
            self._unsaid = False

    def _wanted(self) -> dict[int, int]:
        """Return what to wait for: a descriptor may be waited for in two ways."""
        wanted, stdin = dict[int, int](), self._running.stdin
        if stdin is not None:
            if self._pending:
                wanted[stdin] = select.POLLOUT
            elif self._body is not None:
                _add(wanted, self._body.awaited())
        if self._room() > 0:
            wanted[self._running.stdout] = select.POLLIN
        elif self._output.body is not None:
            _add(wanted, self._output.body.awaited())
        return wanted


def _add(wanted: dict[int, int], awaited: object) -> None:
    if isinstance(awaited, tuple):
        wanted[awaited[0]] = wanted.get(awaited[0], 0) | awaited[1]
