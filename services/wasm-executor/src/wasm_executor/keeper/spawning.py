"""From a spawn request to a container that is the keeper's child.

The keeper makes everything the container will hold, sends it through the zygote in one message,
and hears from the container itself, at its gate, that it is there: the kernel vouches for the pid.
A gate that closes unopened means that no guest can have run, so a killed zygote costs a retry and
nothing else.
"""

import fcntl
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from wasm_executor.keeper.children import Service, spawn_bound
from wasm_executor.keeper.containers import Pipes
from wasm_executor.keeper.events import emit
from wasm_executor.keeper.logfile import LogFile
from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.protocol import Spawn
from wasm_executor.keeper.records import Records, start_ticks
from wasm_executor.keeper.settings import KeeperSettings

ATTEMPTS: Final = 5
WINDOW: Final = 32
"""Spawns under way at once; it bounds the descriptors in flight, which the kernel counts."""
GO: Final = b"go"
SPAWN: Final = b"spawn"
CREDENTIALS: Final = struct.Struct("3i")
ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    # Each container is a fork: threads and arenas it never uses would cost every one of them.
    "TOKIO_WORKER_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class SpawnOrder(msgspec.Struct, kw_only=True, eq=False):
    """One request on its way, and whom to tell."""

    request: Spawn
    plan_fd: int
    on_born: Callable[["Born"], None]
    on_failed: Callable[[str], None]
    attempts: int = 0


class Born(msgspec.Struct, frozen=True, kw_only=True):
    """A container that waits at its gate."""

    order: SpawnOrder
    pid: int
    start_ticks: int
    pipes: Pipes
    log: LogFile
    gate: socket.socket

    def let_in(self) -> None:
        with self.gate, suppress(OSError):  # it died just now: its reaping tells
            self.gate.send(GO)


class _Attempt(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    order: SpawnOrder
    pipes: Pipes
    log: LogFile
    gate: socket.socket


class _Closing:
    """Descriptors that are the container's: closed here, sent or not."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def add(self, fd: int) -> None:
        self.fds.append(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self.fds:
            os.close(fd)


class Spawner:
    """Feeds the zygote; holds the orders that it has not answered."""

    def __init__(
        self, loop: EventLoop, records: Records, argv: Sequence[str], settings: KeeperSettings
    ) -> None:
        self.service = Service("zygote", loop, self._launch, settings.keeper_restart_max_s)
        self._loop = loop
        self._records = records
        self._argv = argv
        self._pipe_bytes = settings.keeper_pipe_bytes
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._zygote: socket.socket | None = None
        self._ready = False
        self._waiting: deque[SpawnOrder] = deque()
        self._under_way = 0

    def submit(self, order: SpawnOrder) -> None:
        self._waiting.append(order)
        self._dispatch()

    def drop_waiting(self) -> None:
        """Forget what no supervisor waits for any more; nothing of it has begun."""
        while self._waiting:
            self._fail(self._waiting.popleft(), "the supervisor that asked for it ended")

    def _launch(self) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (*self._argv, str(theirs.fileno()), str(os.getpid()))
            pid = spawn_bound(arguments, ENVIRONMENT, theirs.fileno())
        ours.setblocking(False)
        self._zygote = ours
        self._loop.add(ours.fileno(), self._hear_zygote)
        return pid

    def _hear_zygote(self) -> None:
        assert self._zygote is not None
        try:
            message = self._zygote.recv(64)
        except ConnectionResetError:
            message = b""
        if message:
            self._ready = True
            self._dispatch()
            return
        self._loop.remove(self._zygote.fileno())
        self._zygote.close()
        self._zygote, self._ready = None, False

    def _dispatch(self) -> None:
        while self._ready and self._waiting and self._under_way < WINDOW:
            order = self._waiting.popleft()
            try:
                self._attempt(order)
            except OSError as error:
                self._fail(order, str(error))

    def _attempt(self, order: SpawnOrder) -> None:
        order.attempts += 1
        spec = order.request.spec
        log = LogFile(
            Path(spec.log_path), max_bytes=spec.log_max_bytes, max_files=spec.log_max_files
        )
        with _Closing() as theirs:
            pipes, gate = self._prepare(order, theirs)
            attempt = _Attempt(order=order, pipes=pipes, log=log, gate=gate)
            self._under_way += 1
            self._loop.add(gate.fileno(), lambda: self._hear_gate(attempt))
            assert self._zygote is not None
            try:
                socket.send_fds(self._zygote, [SPAWN], theirs.fds)
            except (BrokenPipeError, ConnectionResetError):
                self._ready = False  # it died just now: its socket and this gate will tell

    def _prepare(self, order: SpawnOrder, theirs: _Closing) -> tuple[Pipes, socket.socket]:
        """Make both ends of everything, theirs in the order of the container's Descriptors."""
        stdin: int | None = None
        if order.request.spec.hold_stdin:
            read_end, stdin = os.pipe2(os.O_CLOEXEC)
            theirs.add(read_end)
        else:
            theirs.add(os.dup(self._null))
        stdout, stderr = self._output_pipe(theirs), self._output_pipe(theirs)
        theirs.add(os.dup(order.plan_fd))
        theirs.add(self._records.open_outcome(order.request.spec.key))
        ours, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.add(gate.detach())
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return Pipes(stdin=stdin, stdout=stdout, stderr=stderr), ours

    def _output_pipe(self, theirs: _Closing) -> int:
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        theirs.add(write_end)
        if self._pipe_bytes is not None:
            fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, self._pipe_bytes)
        return read_end

    def _hear_gate(self, attempt: _Attempt) -> None:
        self._loop.remove(attempt.gate.fileno())
        self._under_way -= 1
        pid = _greeting(attempt.gate)
        ticks = start_ticks(pid) if pid is not None else None
        if pid is None or ticks is None:
            self._try_again(attempt)
        else:
            os.close(attempt.order.plan_fd)
            attempt.order.on_born(
                Born(
                    order=attempt.order,
                    pid=pid,
                    start_ticks=ticks,
                    pipes=attempt.pipes,
                    log=attempt.log,
                    gate=attempt.gate,
                )
            )
        self._dispatch()

    def _try_again(self, attempt: _Attempt) -> None:
        attempt.gate.close()
        attempt.log.close()
        for fd in (attempt.pipes.stdin, attempt.pipes.stdout, attempt.pipes.stderr):
            if fd is not None:
                os.close(fd)
        order = attempt.order
        emit("spawn.interrupted", key=order.request.spec.key, attempt=order.attempts)
        if order.attempts < ATTEMPTS:
            self._waiting.appendleft(order)
        else:
            self._fail(order, "the process ended before its guest could start")

    def _fail(self, order: SpawnOrder, message: str) -> None:
        os.close(order.plan_fd)
        order.on_failed(message)


def _greeting(gate: socket.socket) -> int | None:
    """Return the pid of who says hello, as the kernel knows it; None if the gate is closed."""
    try:
        data, ancillary, _, _ = gate.recvmsg(16, socket.CMSG_SPACE(CREDENTIALS.size))
    except ConnectionResetError:
        return None
    for level, kind, content in ancillary:
        if data and level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid: int = CREDENTIALS.unpack(content)[0]
            return pid
    return None
