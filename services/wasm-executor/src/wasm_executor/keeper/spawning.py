"""From a spawn request to a container that is the keeper's child.

The keeper sends everything the container will hold through the zygote in one message, and hears
from the container itself, at its gate, that it is there: the kernel vouches for the pid. A gate
that closes unopened means that no guest can have run, so a killed zygote costs a retry and nothing
else.
"""

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from wasm_executor.keeper.children import Service, spawn_bound
from wasm_executor.keeper.containers import OurEnds
from wasm_executor.keeper.events import warn
from wasm_executor.keeper.gate import greeting
from wasm_executor.keeper.loop import EventLoop
from wasm_executor.keeper.outfitting import Outfitter
from wasm_executor.keeper.protocol import Spawn
from wasm_executor.keeper.records import Records, start_ticks
from wasm_executor.keeper.settings import KeeperSettings
from wasm_executor.zygote.wire import GO, PLAIN, REHEARSED, SPAWN

ATTEMPTS: Final = 5
WINDOW: Final = 32
"""Spawns under way at once; it bounds the descriptors in flight, which the kernel counts."""
ENDED_EARLY: Final = "the process ended before its guest could start"
ASKER_ENDED: Final = "the supervisor that asked for it ended"
ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    # Each container is a fork: threads and arenas it never uses would cost every one of them.
    "TOKIO_WORKER_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class SpawnOrder(msgspec.Struct, kw_only=True, eq=False):
    """One request on its way, and whom to tell."""

    request: Spawn
    fds: tuple[int, ...]
    """The plan's socket; behind it an exec's stdin, stdout and stderr."""
    on_born: Callable[["Born"], None]
    on_failed: Callable[[str], None]
    attempts: int = 0

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


class Born(msgspec.Struct, frozen=True, kw_only=True):
    """A container that waits at its gate."""

    order: SpawnOrder
    pid: int
    start_ticks: int
    ends: OurEnds
    gate: socket.socket

    def let_in(self) -> None:
        with self.gate, suppress(OSError):  # it died just now: its reaping tells
            self.gate.send(GO)


class _Attempt(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    order: SpawnOrder
    ends: OurEnds
    gate: socket.socket


class Spawner:
    """Feeds the zygote; holds the orders that it has not answered."""

    def __init__(
        self, loop: EventLoop, records: Records, argv: Sequence[str], settings: KeeperSettings
    ) -> None:
        self.service = Service("zygote", loop, self._launch, settings.keeper_restart_max_s)
        self._loop = loop
        self._outfitter = Outfitter(records, settings.keeper_pipe_bytes)
        self._argv = argv
        self._zygote: socket.socket | None = None
        self._ready = False
        self._rehearsal = REHEARSED
        self._waiting: deque[SpawnOrder] = deque()
        self._under_way: dict[int, _Attempt] = {}
        """By the descriptor of their gate."""

    def submit(self, order: SpawnOrder) -> None:
        self._waiting.append(order)
        self._dispatch()

    def drop_waiting(self) -> None:
        """Forget what no supervisor waits for any more; nothing of it has begun.

        What is on its way to its gate will find that closed: the next supervisor is told now of all
        that there is, and nothing may begin behind its back.
        """
        for attempt in tuple(self._under_way.values()):
            self._leave_gate(attempt)
            self._discard(attempt)
            self._fail(attempt.order, ASKER_ENDED)
        while self._waiting:
            self._fail(self._waiting.popleft(), ASKER_ENDED)

    def stop(self) -> None:
        """Kill the zygote; its spares see that no order can come."""
        self.service.stop(signal.SIGKILL)
        self._leave_zygote()

    def _launch(self) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ends = (str(theirs.fileno()), str(os.getpid()))
            arguments = (*self._argv, self._rehearsal, *ends)
            pid = spawn_bound(arguments, ENVIRONMENT, theirs.fileno())
        self._rehearsal = PLAIN if self._rehearsal == REHEARSED else REHEARSED  # unless ready
        ours.setblocking(False)
        self._leave_zygote()  # the last one's spares end when they have taken what is on the way
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
            self._ready, self._rehearsal = True, REHEARSED
            self._dispatch()
            return
        self._leave_zygote()

    def _leave_zygote(self) -> None:
        if self._zygote is not None:
            self._loop.remove(self._zygote.fileno())
            self._zygote.close()
        self._zygote, self._ready = None, False

    def _dispatch(self) -> None:
        while self._ready and self._waiting and len(self._under_way) < WINDOW:
            order = self._waiting.popleft()
            try:
                self._attempt(order)
            except (BrokenPipeError, ConnectionResetError):  # it died just now
                self._ready = False
                self._waiting.appendleft(order)
            except OSError as error:
                self._fail(order, str(error))

    def _attempt(self, order: SpawnOrder) -> None:
        assert self._zygote is not None
        with self._outfitter.outfit(order.request.spec, order.fds) as outfit:
            socket.send_fds(self._zygote, [SPAWN], outfit.theirs)
            outfit.sent()
        order.attempts += 1
        gate = socket.socket(fileno=outfit.gate)
        attempt = _Attempt(order=order, ends=outfit.ours, gate=gate)
        self._under_way[outfit.gate] = attempt
        self._loop.add(outfit.gate, lambda: self._hear_gate(attempt))

    def _hear_gate(self, attempt: _Attempt) -> None:
        self._leave_gate(attempt)
        try:
            self._hand_over(attempt)
        except OSError as error:  # it cannot be recorded, so it must not go on
            self._discard(attempt)
            self._fail(attempt.order, str(error))
        self._dispatch()

    def _leave_gate(self, attempt: _Attempt) -> None:
        self._loop.remove(attempt.gate.fileno())
        del self._under_way[attempt.gate.fileno()]

    def _hand_over(self, attempt: _Attempt) -> None:
        """Give the container to whoever ordered it, or see to it that there will be one."""
        if (pid := greeting(attempt.gate)) is None:
            self._try_again(attempt)
            return
        ticks = start_ticks(pid)
        if ticks is None:  # it ended when it had begun to read its plan, which is there only once
            self._discard(attempt)
            self._fail(attempt.order, ENDED_EARLY)
            return
        born = Born(
            order=attempt.order,
            pid=pid,
            start_ticks=ticks,
            ends=attempt.ends,
            gate=attempt.gate,
        )
        attempt.order.on_born(born)
        attempt.order.close()

    def _try_again(self, attempt: _Attempt) -> None:
        self._discard(attempt)
        order = attempt.order
        warn("spawn.interrupted", key=order.request.spec.key, attempt=order.attempts)
        if order.attempts < ATTEMPTS:
            self._waiting.appendleft(order)
        else:
            self._fail(order, ENDED_EARLY)

    def _discard(self, attempt: _Attempt) -> None:
        """A container whose gate closes unopened ends."""
        attempt.gate.close()
        attempt.ends.close()

    def _fail(self, order: SpawnOrder, message: str) -> None:
        order.close()
        order.on_failed(message)
