"""The services around an executor, as far as the contract goes: they ask, hear and remember."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from contract.digests import inventory_digest, plan_digest
from contract.ids import NodeName, PodUid
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.form import STATIC_TERM, Command, Done, Incarnation, Message, Term
from contract.messages.log import LogOpen, LogRead
from contract.messages.node import NodeBeat, NodeGrant, NodeRegister, NodeRelease, NodeRevoke
from contract.messages.pod import (
    Deletion,
    PodAck,
    PodApply,
    PodForget,
    PodPlan,
)
from contract.messages.report import (
    ContainerReport,
    Inventory,
    InventoryEntry,
    Occurrence,
    PodHappened,
    PodReported,
    ReportAll,
    Running,
    Terminated,
    Waiting,
)
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError

NODE = NodeName("wasm-1")
DEADLINE_S = 20.0


class Peer:
    """Registrar, reconciler and log-server in one, as far as the contract goes."""

    def __init__(self, registrar: Bus, reconciler: Bus, reader: Bus) -> None:
        self._registrar = registrar
        self._reconciler = reconciler
        self.reader = reader
        self.holder: Incarnation | None = None
        self.grants_to: Callable[[Incarnation], bool] = lambda _asking: True
        self.reports: list[PodReported] = []
        self.occurrences: dict[PodUid, list[Occurrence]] = {}
        self.beats: list[NodeBeat] = []
        self.released: list[Incarnation] = []
        self.asked = 0
        self.term: Term = STATIC_TERM
        self._tasks: asyncio.TaskGroup | None = None
        self._news = asyncio.Event()
        self._revisions: dict[PodUid, int] = {}

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        await self._registrar.serve(tasks, NodeRegister, NODE, self._register)
        await self._registrar.serve(tasks, NodeRelease, NODE, self._release)
        await self._reconciler.listen(PodReported, NODE, self._hear_report)
        await self._reconciler.listen(PodHappened, NODE, self._hear_happened)
        await self._reconciler.listen(NodeBeat, NODE, self._hear_beat)

    async def serve_blobs(
        self, handler: Callable[[NodeName, BlobRead], Awaitable[BlobChunk]]
    ) -> None:
        assert self._tasks is not None
        await self._reconciler.serve(self._tasks, BlobRead, NODE, handler, stream=True)

    async def revoke(self, command: NodeRevoke) -> None:
        await self._registrar.request(NODE, command, timeout_s=10)

    async def _register(self, _node: NodeName, command: NodeRegister) -> NodeGrant:
        self.asked += 1
        if self.grants_to(command.incarnation):
            self.holder = command.incarnation
        self._news.set()
        holder = self.holder or Incarnation(executor_id="nobody", start_count=1)
        return NodeGrant(node=NODE, holder=holder)

    async def _release(self, _node: NodeName, command: NodeRelease) -> Done:
        self.released.append(command.incarnation)
        self._news.set()
        return Done()

    def _hear_report(self, _node: NodeName, report: PodReported) -> None:
        self.reports.append(report)
        self._news.set()

    def _hear_happened(self, _node: NodeName, happened: PodHappened) -> None:
        self.occurrences.setdefault(happened.uid, []).extend(happened.occurrences)
        self._news.set()

    def _hear_beat(self, _node: NodeName, beat: NodeBeat) -> None:
        self.beats.append(beat)
        self._news.set()

    async def until[T](
        self, look: Callable[[], T | bool | None], deadline_s: float = DEADLINE_S
    ) -> T:
        """Return what `look` finds, trying at each news and every 20 ms."""
        ends_at = time.monotonic() + deadline_s
        while not (found := look()):
            if time.monotonic() > ends_at:
                raise AssertionError(f"not within {deadline_s} s; reports: {self._tail()}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.02)
            self._news.clear()
        return found  # type: ignore[return-value]  # true values only

    def _tail(self) -> str:
        return "\n".join(str(each.containers) for each in self.reports[-5:])

    # Commands

    def command(self, applied: PodPlan, *, revision: int | None = None, **more: Any) -> PodApply:
        if revision is None:
            revision = self._revisions.get(applied.uid, 0) + 1
            self._revisions[applied.uid] = revision
        assert self.holder is not None
        command = PodApply(
            uid=applied.uid,
            incarnation=self.holder,
            term=self.term,
            revision=revision,
            plan_digest=plan_digest(applied),
            plan=applied,
        )
        return msgspec.structs.replace(command, **more)

    async def send(self, command: PodApply) -> PodAck:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with suppress(BusUnavailableError):
                    return await self._reconciler.request(NODE, command, timeout_s=1)
                await asyncio.sleep(0.02)

    async def send_once(self, command: PodApply) -> PodAck:
        return await self._reconciler.request(NODE, command, timeout_s=DEADLINE_S)

    async def apply(self, applied: PodPlan, **more: Any) -> PodAck:
        return await self.send(self.command(applied, **more))

    async def delete(self, plan: PodPlan, grace_s: float = 30.0) -> PodPlan:
        deletion = Deletion(requested_at=datetime.now(UTC), grace_s=grace_s)
        deleted = msgspec.structs.replace(plan, deletion=deletion)
        await self.apply(deleted)
        return deleted

    async def forget(self, plan: PodPlan, grace_s: float = 2.0) -> None:
        assert self.holder is not None
        command = PodForget(uid=plan.uid, incarnation=self.holder, term=self.term, grace_s=grace_s)
        await self._reconciler.request(NODE, command)

    async def report_all(self) -> Inventory:
        assert self.holder is not None
        return await self._reconciler.request(
            NODE, ReportAll(incarnation=self.holder, term=self.term)
        )

    # What was seen

    def of(self, plan: PodPlan) -> list[PodReported]:
        return [each for each in self.reports if each.uid == plan.uid]

    def latest(self, plan: PodPlan) -> PodReported | None:
        reports = self.of(plan)
        return max(reports, key=lambda r: (r.incarnation, r.epoch, r.sequence)) if reports else None

    def container(self, plan: PodPlan, name: str = "c") -> ContainerReport | None:
        report = self.latest(plan)
        if report is None:
            return None
        return next(each for each in report.containers if each.name == name)

    def said(self, plan: PodPlan) -> list[tuple[str, str]]:
        return [(each.reason, each.message) for each in self.occurrences.get(plan.uid, [])]

    def digest(self) -> str:
        """Return the digest of what was reported last of each pod."""
        last = {each.uid: self.latest_of(each.uid) for each in self.reports}
        return inventory_digest(
            InventoryEntry(uid=uid, plan_digest=r.plan_digest, epoch=r.epoch, sequence=r.sequence)
            for uid, r in last.items()
        )

    def latest_of(self, uid: PodUid) -> PodReported:
        return max(
            (each for each in self.reports if each.uid == uid),
            key=lambda r: (r.incarnation, r.epoch, r.sequence),
        )

    async def running(self, plan: PodPlan, restarts: int = 0) -> ContainerReport:
        def look() -> ContainerReport | None:
            seen = self.container(plan)
            ready = seen is not None and isinstance(seen.state, Running)
            return seen if ready and seen is not None and seen.restart_count >= restarts else None

        return await self.until(look)

    async def waiting(self, plan: PodPlan, reason: str) -> Waiting:
        def look() -> Waiting | None:
            seen = self.container(plan)
            state = None if seen is None else seen.state
            return state if isinstance(state, Waiting) and state.reason == reason else None

        return await self.until(look)

    async def stopped(self, plan: PodPlan) -> Terminated:
        def look() -> bool:
            report = self.latest(plan)
            return report is not None and report.stopped

        await self.until(look)
        report = self.latest(plan)
        assert report is not None
        state = report.containers[0].state
        assert isinstance(state, Terminated)
        return state

    async def ask[R: Message](self, command: Command[R], timeout_s: float = 5) -> R:
        """Ask as the log-server does; the executor's other connection may be a moment late."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    return await self.reader.request(
                        NODE, command, timeout_s=timeout_s, stream=True
                    )
                except BusUnavailableError:
                    await asyncio.sleep(0.05)

    async def line(self, plan: PodPlan) -> str:
        """Return the beginning of a log, once there is one."""
        async with asyncio.timeout(DEADLINE_S):
            while not (said := await self.log(plan)):
                await asyncio.sleep(0.02)
        return said

    async def log(self, plan: PodPlan, **options: Any) -> str:
        """Return a log to its present end, as users see it."""
        command = LogOpen(namespace=plan.namespace, pod=plan.name, container="c", **options)
        cursor = (await self.ask(command)).cursor
        content = b""
        while True:
            chunk = await self.ask(LogRead(cursor=cursor))
            content += chunk.data
            cursor = chunk.cursor
            if not chunk.data:
                return text_of(content)


def text_of(cri: bytes) -> str:
    parts = []
    for line in cri.decode().split("\n")[:-1]:
        _, _, tag, content = line.split(" ", 3)
        parts.append(content + ("\n" if tag == "F" else ""))
    return "".join(parts)
