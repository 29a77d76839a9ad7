"""The reconciler's peers on a real bus: a registrar, and an executor that tests speak for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from contract.digests import inventory_digest, plan_digest
from contract.errors import CommandError
from contract.ids import EVERY_NODE, NO_NODE, ContainerName, NodeName, PodUid
from contract.messages.form import Done, Incarnation
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
    NodeCheck,
    NodeChecked,
    NodeFacts,
    NodeGranted,
)
from contract.messages.pod import Deletion, PodAck, PodApply, PodForget
from contract.messages.report import (
    ContainerReport,
    ContainerState,
    Inventory,
    InventoryEntry,
    PodHappened,
    PodReported,
    ReportAll,
    Running,
    Terminated,
    Waiting,
)
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.settings import ServiceSettings

type StartReconciler = Callable[..., AbstractAsyncContextManager[None]]

NODE = NodeName("wasm-1")
LIFE = Incarnation(executor_id="e1", start_count=1)
NODE_UID = "node-uid"
HOST_IP = "192.0.2.7"
BEAT_EVERY_S = 0.05
AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
FACTS = NodeFacts(
    cpu_millis=2000,
    memory_bytes=2**30,
    ephemeral_storage_bytes=2**34,
    pods=110,
    allocatable_cpu_millis=2000,
    allocatable_memory_bytes=2**30,
    runtimes=("wasi",),
)


async def until[T](what: Callable[[], T], timeout_s: float = 10.0) -> T:
    """Wait for a truth, and return it; fails after the deadline."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not (found := what()):
        assert asyncio.get_running_loop().time() < deadline, "it did not become true in time"
        await asyncio.sleep(0.01)
    return found


def running() -> Running:
    return Running(started_at=AT)


def ended(exit_code: int) -> Terminated:
    reason = "Completed" if exit_code == 0 else "Error"
    return Terminated(exit_code=exit_code, reason=reason, started_at=AT, finished_at=AT)


def container(state: ContainerState, name: str = "main", **more: Any) -> ContainerReport:
    """A container's report; one that runs is ready."""
    runs = isinstance(state, Running)
    more = {"ready": runs, "started": runs} | more
    if not isinstance(state, Waiting):
        more.setdefault("container_id", "wasmtime://1")
        more.setdefault("image_id", "registry.example/guest@sha256:" + "0" * 64)
    return ContainerReport(name=ContainerName(name), state=state, **more)


class Registrar:
    """Says who holds which node."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.grants: dict[NodeName, NodeGranted] = {}
        self.ended: set[NodeName] = set()
        self.checked: list[NodeName] = []

    async def grant(
        self, node: NodeName = NODE, holder: Incarnation = LIFE, facts: NodeFacts = FACTS
    ) -> None:
        granted = NodeGranted(
            node=node, holder=holder, host_ip=HOST_IP, node_uid=NODE_UID, facts=facts
        )
        self.grants[node] = granted
        self.ended.discard(node)
        await self.bus.publish(node, granted)

    def end(self, node: NodeName) -> None:
        """Nobody has the node any more, and there is no Node."""
        del self.grants[node]
        self.ended.add(node)

    async def check(self, node: NodeName, _: NodeCheck) -> NodeChecked:
        self.checked.append(node)
        return NodeChecked(node=node, ended=node in self.ended)

    async def list_grants(self, _: NodeName, __: GrantsList) -> GrantsListed:
        return GrantsListed(grants=tuple(self.grants.values()))


class Executor:
    """What one executor knows; tests say what its pods do."""

    def __init__(self, bus: Bus, node: NodeName, life: Incarnation = LIFE) -> None:
        self.bus = bus
        self.node = node
        self.life = life
        self.applied: list[PodApply] = []
        self.forgotten: list[PodForget] = []
        self.asked: list[ReportAll] = []
        self.plans: dict[PodUid, PodApply] = {}
        self.reports: dict[PodUid, PodReported] = {}
        self.refuse_with: CommandError | None = None
        self.refused: list[PodApply] = []
        self.keeps_forgotten = False
        self._sequence = 0

    async def apply(self, _: NodeName, command: PodApply) -> PodAck:
        if self.refuse_with is not None:
            self.refused.append(command)
            raise self.refuse_with
        if command.incarnation != self.life:
            raise CommandError(409, "not this incarnation")
        if command.plan is not None:
            assert plan_digest(command.plan) == command.plan_digest
        self.applied.append(command)
        known = self.plans.get(command.uid)
        changed = known is None or known.plan_digest != command.plan_digest
        self.plans[command.uid] = command
        return PodAck(uid=command.uid, plan_digest=command.plan_digest, changed=changed)

    async def forget(self, _: NodeName, command: PodForget) -> Done:
        self.forgotten.append(command)
        if not self.keeps_forgotten:
            self.plans.pop(command.uid, None)
            self.reports.pop(command.uid, None)
        return Done()

    async def report_all(self, _: NodeName, command: ReportAll) -> Inventory:
        if command.incarnation != self.life:
            raise CommandError(409, "not this incarnation")
        self.asked.append(command)
        for report in self.reports.values():
            await self.bus.publish(self.node, report)
        return Inventory(incarnation=self.life, epoch=1, entries=self.entries())

    def entries(self) -> tuple[InventoryEntry, ...]:
        return tuple(
            InventoryEntry(
                uid=uid,
                plan_digest=report.plan_digest,
                epoch=report.epoch,
                sequence=report.sequence,
            )
            for uid, report in self.reports.items()
        )

    def deletion_of(self, uid: str) -> Deletion | None:
        """The deletion in the plan that was last applied."""
        plan = self.plans[PodUid(uid)].plan
        return None if plan is None else plan.deletion

    async def report(self, uid: str, *containers: ContainerReport, **more: Any) -> PodReported:
        """Report a pod that was applied."""
        command = self.plans[PodUid(uid)]
        assert command.plan is not None
        return await self.say(
            PodReported(
                uid=PodUid(uid),
                namespace=command.plan.namespace,
                name=command.plan.name,
                incarnation=self.life,
                epoch=1,
                sequence=0,
                plan_digest=command.plan_digest,
                generation=command.plan.generation,
                term=command.term,
                started_at=AT,
                containers=containers,
                **more,
            )
        )

    async def say(self, report: PodReported, *, lost: bool = False) -> PodReported:
        """Publish a report under the next number, or lose it on the way."""
        self._sequence += 1
        numbered = msgspec.structs.replace(report, sequence=self._sequence)
        self.reports[report.uid] = numbered
        if not lost:
            await self.bus.publish(self.node, numbered)
        return numbered

    async def happen(self, event: PodHappened) -> None:
        await self.bus.publish(self.node, event)

    async def beat(self, *, shutting_down: bool = False) -> None:
        await self.bus.publish(
            self.node,
            NodeBeat(
                node=self.node,
                incarnation=self.life,
                epoch=1,
                at=datetime.now(UTC),
                inventory_digest=inventory_digest(self.entries()),
                pods=len(self.reports),
                shutting_down=shutting_down,
            ),
        )

    async def beat_until[T](self, what: Callable[[], T]) -> T:
        """Beat, as an executor does for ever: a beat before an answer was taken in says nothing."""

        async def beats() -> None:
            while True:
                await self.beat()
                await asyncio.sleep(BEAT_EVERY_S)

        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(beats(), name="beats")
            found = await until(what)
            beating.cancel()
        return found


def bus_settings(server: EmbeddedNats, role: Role, node: NodeName | None = None) -> ServiceSettings:
    return ServiceSettings(nats_url=server.url, nats_password_file=server.password_file(role, node))


@asynccontextmanager
async def registrar_on(server: EmbeddedNats) -> AsyncIterator[Registrar]:
    """A registrar on the bus."""
    role = Role.NODE_REGISTRAR
    async with connected(bus_settings(server, role), role) as bus, asyncio.TaskGroup() as tasks:
        registrar = Registrar(bus)
        await bus.serve(tasks, GrantsList, NO_NODE, registrar.list_grants)
        await bus.serve(tasks, NodeCheck, EVERY_NODE, registrar.check)
        yield registrar


@asynccontextmanager
async def executor_on(
    server: EmbeddedNats, node: NodeName = NODE, life: Incarnation = LIFE
) -> AsyncIterator[Executor]:
    """An executor on the bus."""
    role = Role.WASM_EXECUTOR
    settings = bus_settings(server, role, node)
    async with connected(settings, role, node) as bus, asyncio.TaskGroup() as tasks:
        executor = Executor(bus, node, life)
        await bus.serve(tasks, PodApply, node, executor.apply)
        await bus.serve(tasks, PodForget, node, executor.forget)
        await bus.serve(tasks, ReportAll, node, executor.report_all)
        yield executor
