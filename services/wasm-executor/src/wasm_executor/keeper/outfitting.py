"""What the keeper makes for a container before that is there: its stdio, its log, its gate.

The ends that the container will hold go to it in one message; the keeper's own stay here.
"""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from wasm_executor.keeper.containers import OurEnds
from wasm_executor.keeper.logfile import LogFile
from wasm_executor.keeper.output import OutputEnds
from wasm_executor.keeper.protocol import SpawnSpec
from wasm_executor.keeper.records import Records


class Outfit:
    """Both ends of all of it: theirs are closed in any case, ours unless they were sent."""

    def __init__(self, log: LogFile | None) -> None:
        self.log = log
        self.theirs: list[int] = []
        """In the order of `Descriptors`."""
        self.ours = OurEnds()
        self.gate = -1
        self._kept: list[int] = []
        self._is_sent = False

    def keep(self, fd: int) -> int:
        self._kept.append(fd)
        return fd

    def give(self, fd: int) -> None:
        self.theirs.append(fd)

    def sent(self) -> None:
        """Ours live on; without this call they are closed too."""
        self._is_sent = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self.theirs if self._is_sent else (*self._kept, *self.theirs):
            os.close(fd)
        if self.log is not None and not self._is_sent:
            self.log.close()


class Outfitter:
    """`pipe_bytes` is the size of each output pipe, where the kernel's own is not wanted."""

    def __init__(self, records: Records, pipe_bytes: int | None) -> None:
        self._records = records
        self._pipe_bytes = pipe_bytes
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def outfit(self, spec: SpawnSpec, fds: Sequence[int]) -> Iterator[Outfit]:
        """Make everything; raise OSError. `fds` are the plan's socket and, of an exec, its stdio.

        One whose output goes to a log has stdio of its own.
        """
        with Outfit(_open_log(spec)) as outfit:
            plan, *stdio = fds
            if outfit.log is None:
                for fd in stdio:
                    outfit.give(os.dup(fd))
            else:
                outfit.ours = self._stdio(outfit, outfit.log, hold_stdin=spec.hold_stdin)
            outfit.give(os.dup(plan))
            outfit.give(self._records.open_outcome(spec.key))
            outfit.gate = _gate(outfit)
            yield outfit

    def _stdio(self, outfit: Outfit, log: LogFile, *, hold_stdin: bool) -> OurEnds:
        stdin = self._stdin(outfit, hold=hold_stdin)
        stdout, stderr = self._output_pipe(outfit), self._output_pipe(outfit)
        return OurEnds(stdin=stdin, output=OutputEnds(stdout=stdout, stderr=stderr, log=log))

    def _stdin(self, outfit: Outfit, *, hold: bool) -> int | None:
        if not hold:
            outfit.give(os.dup(self._null))
            return None
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        outfit.give(read_end)
        return outfit.keep(write_end)

    def _output_pipe(self, outfit: Outfit) -> int:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        outfit.give(write_end)
        if self._pipe_bytes is not None:
            with suppress(OSError):  # above a user's limit the kernel keeps its own size
                fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, self._pipe_bytes)
        return outfit.keep(read_end)


def _gate(outfit: Outfit) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    outfit.give(theirs.detach())
    return outfit.keep(ours.detach())


def _open_log(spec: SpawnSpec) -> LogFile | None:
    if spec.log_path is None:
        return None
    path = Path(spec.log_path)
    return LogFile(path, max_bytes=spec.log_max_bytes, max_files=spec.log_max_files)
