"""All pods of this executor by UID, and what concerns all of them at once."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec
import structlog

from contract.digests import inventory_digest
from contract.ids import PodUid
from contract.messages.report import InventoryEntry
from wasm_executor.domain.frame import MIN_GRACE_S, Cause
from wasm_executor.domain.inputs import Halted
from wasm_executor.domain.restoring import Present
from wasm_executor.domain.states import ALIVE
from wasm_executor.errors import KeeperLostError
from wasm_executor.keeper.errors import KeeperError
from wasm_executor.keeper.protocol import ContainerProcess, Exit, is_exec
from wasm_executor.supervisor.execs.execing import Execs
from wasm_executor.supervisor.execs.modulefiles import ModuleFiles
from wasm_executor.supervisor.execs.programs import Programs
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.beginning import Shown, begin
from wasm_executor.supervisor.pods.clearing import Clearing
from wasm_executor.supervisor.pods.lastwords import with_last_words
from wasm_executor.supervisor.pods.planless import Planless, end_stray
from wasm_executor.supervisor.pods.plans import StoredPlan
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.runs import (
    RunKey,
    present_of,
    run_ended,
    vanished,
)
from wasm_executor.volumes.removing import at_leisure

log = structlog.get_logger()


class Roster:
    """The pods; it starts their tasks and buries what they leave."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pods: dict[PodUid, PodTask] = {}
        self._planless = Planless(node)
        programs = Programs(node.toolbox, ModuleFiles(node.images))
        self.execs = Execs(node, node.worlds, programs, sockets=node.settings.guest_sockets)
        self._clearing = Clearing(node)
        self._adopted = False
        self._early: list[Exit] = []
        """Ends that were told before it was known whose they are."""

    def __iter__(self) -> Iterator[PodTask]:
        return iter(list(self._pods.values()))

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: PodUid) -> PodTask | None:
        return self._pods.get(uid)

    def named(self, namespace: str, name: str) -> PodTask | None:
        """Return the youngest pod of this name: an older one of another UID may still be ending."""
        found = [
            task
            for task in self._pods.values()
            if (task.pod.plan.namespace, task.pod.plan.name) == (namespace, name)
        ]
        return max(found, key=lambda task: task.started_at, default=None)

    def is_going(self, uid: PodUid) -> bool:
        """Say whether a pod is being forgotten: what comes for it now would go with it."""
        task = self._pods.get(uid)
        is_forgotten = task is not None and task.pod.cause is Cause.FORGOTTEN
        return is_forgotten or self._clearing.is_under_way(uid)

    def running(self) -> int:
        """Return how many pods have a running container."""
        planned = sum(
            any(each.phase in ALIVE for each in task.pod.containers) for task in self._pods.values()
        )
        return planned + self._planless.running()

    # What it knows

    def entries(self) -> tuple[InventoryEntry, ...]:
        """Return all pods; of one whose plan is lost, only that there is one.

        The reconciler sends it again, or says that it is gone: until then its logs stay.
        """
        planless = [
            self._planless_entry(uid)
            for uid in self._node.checkpoint.records
            if uid not in self._pods
        ]
        return (*(_entry_to_confirm(task) for task in self._pods.values()), *planless)

    def _planless_entry(self, uid: PodUid) -> InventoryEntry:
        record = self._node.checkpoint.records[uid]
        return InventoryEntry(
            uid=uid,
            plan_digest="",
            epoch=0,
            sequence=0,
            namespace=record.namespace,
            name=record.name,
        )

    def digest(self) -> str:
        """Return the digest over what has been reported, which is what the other side can know.

        A pod that runs without its plan is in it too, so that both sides differ until the plan
        comes, or the word to end it.
        """
        heard = [task.entry() for task in self._pods.values() if task.heard]
        running = {key.uid for key in self._planless.alive(self._planless.uids())}
        return inventory_digest([*heard, *(self._planless_entry(uid) for uid in running)])

    # Beginning

    def add(self, stored: StoredPlan, shown: Shown) -> None:
        """Begin a pod whose plan has just arrived; go on with what ran of it without one."""
        uid = stored.plan.uid
        present = self._planless.give(uid)
        task = self._begin(stored, present, shown)
        strays = _strays(task, present)
        if strays:
            self._node.tasks.create_task(self._end_strays(uid, strays), name=f"strays-{uid}")

    async def end_execs(self) -> None:
        """End the commands that a supervisor before this one ran; it needs no grant for that."""
        self.execs.clear(await self._node.keeper.containers())

    async def adopt(self, stored: Iterable[StoredPlan], table: Iterable[ContainerProcess]) -> None:
        """Go on with what a supervisor before this one had, and end what belongs to nobody."""
        runs: dict[PodUid, list[Present]] = {}
        for process in self.execs.clear(table):
            key = RunKey.parse(process.key)
            runs.setdefault(key.uid, []).append(present_of(process))
        for each in stored:
            present = runs.pop(each.plan.uid, [])
            task = self._begin(each, present, None)
            await self._end_strays(each.plan.uid, _strays(task, present))
        for uid, present in runs.items():
            if uid in self._node.checkpoint.records:
                self._planless.take(uid, present)
            else:
                await self._end_strays(uid, present)
        known = {*self._pods, *self._node.checkpoint.records}
        await self._node.volumes.drop_others(known)
        await at_leisure(self._node.last_words.drop_others, known)
        self._adopted = True
        for exit_ in self._early:
            await self._hear(exit_)
        self._early.clear()

    async def _end_strays(self, uid: PodUid, strays: Iterable[Present]) -> None:
        for stray in strays:
            await end_stray(self._node, uid, stray)

    def _begin(
        self, stored: StoredPlan, present: Sequence[Present], shown: Shown | None
    ) -> PodTask:
        task = begin(self._node, self.execs, stored, present, shown)
        self._pods[stored.plan.uid] = task
        self._node.tasks.create_task(self._live(task), name=f"pod-{stored.plan.uid}")
        return task

    # Living and ending

    async def _live(self, task: PodTask) -> None:
        await task.run()
        if task.pod.cause is Cause.FORGOTTEN:
            await self.bury(task)

    async def bury(self, task: PodTask) -> None:
        """Drop what is left of a pod that nobody will ask for again."""
        uid = task.pod.plan.uid
        # It may be forgotten while the node's name is lost.
        async with task.burial:
            if self._pods.get(uid) is task:
                await self._clearing.clear(uid)
                del self._pods[uid]

    async def forget_unknown(self, uid: PodUid, grace_s: float) -> None:
        """End and drop what is left of a pod that has no plan here."""
        if uid in self._node.checkpoint.records:
            await self._planless.end((uid,), grace_s)
            if uid not in self._pods:
                await self._clearing.clear(uid)

    async def end_planless(self, grace_s: float) -> None:
        """End what runs without a plan; what is told of its end waits for the plan."""
        await self._planless.end(self._planless.uids(), grace_s)

    async def halt(self, *, drop: bool) -> None:
        """End everything that runs and wait for it; where the plan is lost, so is its grace.

        `drop` also forgets the pods, those of earlier lives too, and hurries: another executor
        runs them by now.
        """
        pods = list(self._pods.values())
        for task in pods:
            task.put(Halted(grace_s=MIN_GRACE_S if drop else None))
        planless = self._planless.uids()
        await self._planless.end(planless, MIN_GRACE_S)
        for task in pods:
            await task.ended.wait()
        if drop:
            for task in pods:
                await self.bury(task)
            for uid in tuple(self._node.checkpoint.records):
                await self._clearing.clear(uid)
            await self._end_the_rest()

    async def _end_the_rest(self) -> None:
        """End what was never adopted: a supervisor before this one died while it lost the name."""
        for process in await self._node.keeper.containers():
            uid = RunKey.parse(process.key).uid
            await end_stray(self._node, uid, present_of(process))

    async def audit_regularly(self, interval_s: float) -> None:
        """Hold the pods against the keeper's table, which cannot be wrong. Until cancelled.

        A run that it does not have is over, though nobody was told: its process waited for a plan
        that died with the supervisor before this one.
        """
        while True:
            await asyncio.sleep(interval_s)
            alive = self._alive()
            table = {RunKey.parse(each.key) for each in await self._node.keeper.containers()}
            for key in (alive & self._alive()) - table:
                log.warning("run.vanished", key=str(key))
                end = vanished(key, now())
                if not self._planless.hear(key, end):
                    self._pods[key.uid].put(end)

    def _alive(self) -> set[RunKey]:
        planned = {
            RunKey(uid, each.plan.name, each.history.run)
            for uid, task in self._pods.items()
            for each in task.pod.containers
            if each.phase in ALIVE
        }
        return planned.union(self._planless.alive(self._planless.uids()))

    async def hear_exits(self) -> None:
        """Bring each exit to its pod. Runs until the keeper is gone, which is an error."""
        with suppress(asyncio.QueueShutDown):
            while True:
                await self._hear(await self._node.keeper.exits.get())
        raise KeeperLostError("the keeper closed its end")

    async def _hear(self, exit_: Exit) -> None:
        if not self._adopted:
            self._early.append(exit_)
            return
        if is_exec(exit_.key):
            return  # of an earlier supervisor, and seen to
        key = RunKey.parse(exit_.key)
        task = self._pods.get(key.uid)
        if task is not None and not task.ended.is_set():
            task.put(with_last_words(self._node.last_words, task.pod.plan, run_ended(exit_)))
        elif not self._planless.hear(key, run_ended(exit_)):
            with suppress(KeeperError):
                await self._node.keeper.forget(exit_.key)


def _entry_to_confirm(task: PodTask) -> InventoryEntry:
    """Return the pod's entry; without a digest, the plan that it waits to hear of is sent again."""
    entry = task.entry()
    return msgspec.structs.replace(entry, plan_digest="") if task.pod.unsure else entry


def _strays(task: PodTask, present: Iterable[Present]) -> list[Present]:
    """Return the runs that a pod, just begun, does not go on with."""
    kept = {(c.plan.name, c.history.run) for c in task.pod.containers if c.phase in ALIVE}
    return [each for each in present if (each.container, each.run) not in kept]
