"""Moves bytes between a client and the program that answers it: both ways at once, none kept.

The program has pipes for stdin and stdout. What it writes waits in its pipe while the client does
not take it, and what the client sends waits in the socket while the program does not read it.
"""

import os
import select
import time
from typing import Final

from wasm_executor.runtimes.wagi.answering import Output
from wasm_executor.runtimes.wasihttp.errors import (
    RequestTimeoutError,
    StreamClosedError,
    StreamFailedError,
)
from wasm_executor.runtimes.wasihttp.messages import HELD_BACK, IncomingBody

AT_ONCE: Final = 16 * 1024
UNSAID_S: Final = 0.02
"""A program that pauses for so long has the client see what it has written."""
LEEWAY_S: Final = 1.0
"""The program is ended by its own timer; a busy machine may be late."""


class Pump:
    """One request's pipes; they are closed with it."""

    def __init__(
        self, body: IncomingBody | None, stdin: int, stdout: int, output: Output, deadline: float
    ) -> None:
        self._body = body
        self._stdin: int | None = stdin
        self._stdout = stdout
        self._output = output
        self._deadline = deadline
        self._pending = b""
        self._unsaid = False
        os.set_blocking(stdin, False)
        os.set_blocking(stdout, False)

    def run(self) -> None:
        """Return when the program has closed its output.

        Raise `StreamClosedError` when the client has gone, `RequestTimeoutError` when time is up.
        """
        while self._drain():
            if time.monotonic() > self._deadline + LEEWAY_S:
                raise RequestTimeoutError("the client has not taken the answer in time")
            self._feed()
            self._wait()

    def close(self) -> None:
        self._end_stdin()
        os.close(self._stdout)

    def _feed(self) -> None:
        """Give the program what has come of the body."""
        if self._stdin is None:
            return
        if self._body is None:
            self._end_stdin()
            return
        try:
            while pending := self._pending or self._body.read(AT_ONCE):
                self._pending = pending  # kept, should the pipe be full
                self._pending = pending[os.write(self._stdin, pending) :]
        except BlockingIOError:
            return
        except (StreamClosedError, StreamFailedError, BrokenPipeError):
            self._end_stdin()

    def _drain(self) -> bool:
        """Take what the program has written, while there is room; False at its end."""
        room = self._room()
        if room <= 0:
            return True
        try:
            data = os.read(self._stdout, min(room, AT_ONCE))
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
        left_s = max(0.0, self._deadline + LEEWAY_S - time.monotonic())
        if not poll.poll((UNSAID_S if quiet else left_s) * 1000) and quiet:
            assert self._output.body is not None
            self._output.body.flush()
            self._unsaid = False

    def _wanted(self) -> dict[int, int]:
        """Return what to wait for: a descriptor may be waited for in two ways."""
        wanted: dict[int, int] = {}
        if self._stdin is not None:
            if self._pending:
                wanted[self._stdin] = select.POLLOUT
            elif self._body is not None:
                _add(wanted, self._body.awaited())
        if self._room() > 0:
            wanted[self._stdout] = select.POLLIN
        elif self._output.body is not None:
            _add(wanted, self._output.body.awaited())
        return wanted

    def _end_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


def _add(wanted: dict[int, int], awaited: object) -> None:
    if isinstance(awaited, tuple):
        wanted[awaited[0]] = wanted.get(awaited[0], 0) | awaited[1]
