"""One process that answers a request, and this side of what it is fed and drained by.

Nothing of it outlives the request, however that ends. No process here may signal another, so one
whose request has failed hears of it by its stdin and stdout, and has its own timer. Its stdin is a
socket for that: the part of a body that came is not to be taken for the whole, and while a pipe can
only end, a socket that is closed over unread bytes is reset.
"""

import os
import signal
import socket
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError, RequestTimeoutError

_MARK: Final = b"\0"
"""Lies unread until stdin is to end well."""


def stdin_pair(its: ExitStack, ours: ExitStack) -> tuple[int, int]:
    """Return a process's stdin and where it is written; each end is closed with its owner."""
    read, written = (each.detach() for each in socket.socketpair())
    its.callback(os.close, read)
    ours.callback(os.close, written)
    os.write(read, _MARK)
    return read, written


def stdout_pair(its: ExitStack, ours: ExitStack) -> tuple[int, int]:
    """Return a process's stdout and where it is read."""
    read, written = os.pipe()
    its.callback(os.close, written)
    ours.callback(os.close, read)
    return written, read


class Running:
    """It is waited for at the end; where all went well here, it has to have ended well, too."""

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.stdin: int | None = stdin
        """None when it has ended."""
        self.stdout = stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.stdout)
        if kind is None:
            self.end_stdin()
        elif self.stdin is not None:
            os.close(self.stdin)
        _, status = os.waitpid(self.pid, 0)
        if kind is None:
            _require_success(os.waitstatus_to_exitcode(status))

    def end_stdin(self) -> None:
        if self.stdin is not None:
            os.read(self.stdin, len(_MARK))
            os.close(self.stdin)
            self.stdin = None


def _require_success(code: int) -> None:
    """Raise what a request ends with whose process has not ended well."""
    if code == -signal.SIGALRM:
        raise RequestTimeoutError("the handler took too long")
    if code < 0:
        raise HandlerEndedError(f"its process was ended by signal {-code}")
    if code:
        raise HandlerEndedError(f"it ended with exit code {code}")
