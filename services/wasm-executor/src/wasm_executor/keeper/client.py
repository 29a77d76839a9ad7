"""The supervisor's way to its keeper.

Any number of calls may be under way at once. An exit is told in `exits`, and again by
`containers()` until it is forgotten, so that a restarted supervisor misses none: whoever reads
both may see an exit twice and takes it by key.
"""

import asyncio
import itertools
import os
import signal
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Any, Final, Self

import msgspec

from wasm_executor.container.plan import ProcessPlan, StartReport, framed, report_decoder
from wasm_executor.keeper.descriptors import receive, send_what_fits
from wasm_executor.keeper.endings import Endings
from wasm_executor.keeper.errors import (
    ContainerInUseError,
    KeeperError,
    KeeperGoneError,
    SpawnFailedError,
    StartFailedError,
    StdinClosedError,
    StdinFullError,
    UnknownContainerError,
)
from wasm_executor.keeper.protocol import (
    MAX_MESSAGE,
    Answer,
    CloseStdin,
    ContainerProcess,
    Exit,
    Exited,
    Forget,
    FromKeeper,
    ListContainers,
    Listed,
    Refusal,
    Refused,
    Request,
    SendSignal,
    Spawn,
    SpawnSpec,
    WriteStdin,
    encoder,
    from_keeper_decoder,
)
from wasm_executor.keeper.protocol import Spawned as SpawnedAnswer

TURN: Final = 64
"""Messages taken before other tasks get a turn."""
UNANSWERED: Final = 128
"""Spawns that wait for an answer; each holds a descriptor in flight."""
_REFUSALS: Final[dict[Refusal, type[KeeperError]]] = {
    Refusal.UNKNOWN_KEY: UnknownContainerError,
    Refusal.KEY_IN_USE: ContainerInUseError,
    Refusal.STILL_RUNNING: ContainerInUseError,
    Refusal.STDIN_FULL: StdinFullError,
    Refusal.STDIN_CLOSED: StdinClosedError,
    Refusal.SPAWN_FAILED: SpawnFailedError,
}


class Spawned(msgspec.Struct, frozen=True, kw_only=True):
    """A container whose guest has begun."""

    pid: int
    started_at: datetime


class KeeperClient:
    """One connection; made with `connect`, in the event loop that uses it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._pages: dict[int, list[ContainerProcess]] = {}
        self._starting: dict[str, asyncio.Future[Exit]] = {}
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._window = asyncio.Semaphore(UNANSWERED)
        self._gone = False
        self._endings = Endings()
        self.exits = self._endings.exits
        """Ends of started containers; shut down when the keeper is gone."""
        self.awaited_end = self._endings.awaited

    @classmethod
    async def connect(cls, fd: int) -> Self:
        """Take over the descriptor that the keeper gave by `--keeper-fd`."""
        connection = socket.socket(fileno=fd)
        connection.setblocking(False)
        client = cls(connection)
        client._loop.add_reader(fd, client._hear)
        return client

    def close(self) -> None:
        """Leave; containers go on."""
        if not self._gone:
            self._lose()

    async def spawn(
        self,
        spec: SpawnSpec,
        plan: ProcessPlan,
        on_spawned: Callable[[Spawned], Awaitable[None]] | None = None,
        stdio: tuple[int, int, int] | None = None,
        listeners: Collection[int] = (),
    ) -> Spawned:
        """Start a container, or an exec on `stdio`; returns when its guest runs, or has ended.

        `StartFailedError`: the guest cannot run. `SpawnFailedError`: nothing of it has run, retry.
        After either the key is free. Cancelled, it may still start: look it up in `containers()`,
        or kill and forget. `on_spawned` hears of the process before its guest runs. `listeners` go
        with the plan, past the keeper; they stay the caller's to close.
        """
        if spec.key in self._starting:
            raise ContainerInUseError(spec.key)
        self._starting[spec.key] = self._loop.create_future()
        ours, theirs = socket.socketpair()
        try:
            with ours:
                ours.setblocking(False)
                rest = send_what_fits(ours, framed(plan), listeners)
                with theirs:
                    spawned = await self._ask_to_spawn(spec, (theirs.fileno(), *(stdio or ())))
                if on_spawned is not None:
                    await on_spawned(spawned)
                report = await self._started(ours, rest)
            if report is None or report.failure is not None:
                raise await self._not_started(spec.key, report)
            return spawned
        finally:
            last = self._starting.pop(spec.key)
            if last.done() and last.exception() is None:
                self._endings.tell(last.result())

    async def containers(self) -> tuple[ContainerProcess, ...]:
        """Return the keeper's table, those that ended and are not forgotten included."""
        number = next(self._numbers)
        self._pages[number] = []
        try:
            await self._call(ListContainers(id=number))
            return tuple(self._pages[number])
        finally:
            del self._pages[number]

    async def signal(self, key: str, signum: int) -> None:
        """Send a signal; one to a container that has just ended does nothing."""
        await self._call(SendSignal(id=next(self._numbers), key=key, signum=signum))

    def kill_now(self, key: str) -> None:
        """Send SIGKILL and wait for nothing: for who is being cancelled himself."""
        if not self._gone:
            request = SendSignal(id=next(self._numbers), key=key, signum=signal.SIGKILL)
            self._send(request, ())

    async def close_stdin(self, key: str) -> None:
        """Give end-of-file to a guest whose stdin was held."""
        await self._call(CloseStdin(id=next(self._numbers), key=key))

    async def write_stdin(self, key: str, data: bytes) -> None:
        """Write at most `STDIN_PIECE` bytes; `StdinFullError`: none was taken, try again."""
        await self._call(WriteStdin(id=next(self._numbers), key=key, data=data))

    async def forget(self, key: str) -> None:
        """Drop an ended container from the table; its exit is told no more."""
        await self._call(Forget(id=next(self._numbers), key=key))

    # Starting

    async def _ask_to_spawn(self, spec: SpawnSpec, fds: tuple[int, ...]) -> Spawned:
        async with self._window:
            answer = await self._call(Spawn(id=next(self._numbers), spec=spec), *fds)
        assert isinstance(answer, SpawnedAnswer)
        return Spawned(pid=answer.pid, started_at=answer.started_at)

    async def _started(self, ours: socket.socket, rest: bytes) -> StartReport | None:
        """Hear how the start went; None if the process ended without its plan.

        One that ends without a word and had its whole plan is a run that ended: whatever kept
        it from speaking may keep the next one too.
        """
        report, whole = b"", True
        try:
            if rest:  # sending nothing fails too where nobody is there any more
                await self._loop.sock_sendall(ours, rest)
        except (BrokenPipeError, ConnectionResetError):
            whole = False
        try:
            while part := await self._loop.sock_recv(ours, 16 * 1024):
                report += part
        except ConnectionResetError:  # it left part of the plan unread
            whole = False
        if report:
            return report_decoder.decode(report)
        return StartReport() if whole else None

    async def _not_started(self, key: str, report: StartReport | None) -> KeeperError:
        """Free the key and return why there is no guest."""
        await asyncio.wait((self._starting[key],))
        code = self._starting[key].result().code
        self._starting[key] = self._loop.create_future()  # this exit is not for `exits`
        await self.forget(key)
        if report is not None and report.failure is not None:
            return StartFailedError(report.failure.reason, report.failure.message)
        return SpawnFailedError(f"the process ended with {code} before it had its plan")

    # The connection

    async def _call(self, request: Request, *fds: int) -> Answer:
        if self._gone:
            raise KeeperGoneError("the keeper closed its end")
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._calls[request.id] = answered
        try:
            self._send(request, fds)
            return await answered
        finally:
            del self._calls[request.id]

    def _send(self, request: Request, fds: tuple[int, ...]) -> None:
        """Descriptors of our own wait with it: a cancelled caller closes his."""
        self._unsent.append((encoder.encode(request), tuple(os.dup(fd) for fd in fds)))
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            message, fds = self._unsent[0]
            try:
                socket.send_fds(self._connection, [message], fds)
            except BlockingIOError:
                self._loop.add_writer(self._connection.fileno(), self._flush)
                return
            except (BrokenPipeError, ConnectionResetError):
                return  # what is still to read comes first; its end says that the keeper is gone
            self._drop_unsent()
        self._loop.remove_writer(self._connection.fileno())

    def _drop_unsent(self) -> None:
        for fd in self._unsent.popleft()[1]:
            os.close(fd)

    def _hear(self) -> None:
        for _ in range(TURN):
            try:
                data, _fds = receive(self._connection, MAX_MESSAGE, most_fds=0)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self._lose()
                return
            self._take(from_keeper_decoder.decode(data))

    def _take(self, message: FromKeeper) -> None:
        if isinstance(message, Exited):
            starting = self._starting.get(message.exit.key)
            if starting is not None and not starting.done():
                starting.set_result(message.exit)  # told after the start that it belongs to
            else:
                self._endings.tell(message.exit)
            return
        if isinstance(message, Listed):
            self._pages.get(message.id, []).extend(message.containers)
            if message.more:
                return
        self._answer(message)

    def _answer(self, message: Answer) -> None:
        answered = self._calls.get(message.id)
        if answered is None or answered.done():
            return  # its caller was cancelled
        if isinstance(message, Refused):
            answered.set_exception(_REFUSALS[message.reason](message.message))
        else:
            answered.set_result(message)

    def _lose(self) -> None:
        self._gone = True
        self._loop.remove_reader(self._connection.fileno())
        self._loop.remove_writer(self._connection.fileno())
        self._connection.close()
        while self._unsent:
            self._drop_unsent()
        gone = KeeperGoneError("the keeper closed its end")
        self._endings.close(gone)
        waiting: list[asyncio.Future[Any]] = [*self._calls.values(), *self._starting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(gone)
