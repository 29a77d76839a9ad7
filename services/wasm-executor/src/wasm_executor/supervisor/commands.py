"""The commands of the bus: who may give them, in which order they count, what they answer.

Every check comes before the first change, and from there on nothing waits: two commands for one
pod cannot cross.
"""

from typing import Final

import msgspec
import structlog

from contract.digests import plan_digest
from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Done, Incarnation, Term
from contract.messages.node import NodePing, NodePong
from contract.messages.pod import OLDER_PLAN, PodAck, PodApply, PodForget, PodPlan
from contract.messages.report import Inventory, ReportAll
from servicekit.errors import BusUnavailableError
from wasm_executor.domain.inputs import Forgotten, PlanArrived
from wasm_executor.domain.naming import flaw_of
from wasm_executor.domain.ordering import (
    Rank,
    Standing,
    completed,
    has_same_containers,
    standing,
)
from wasm_executor.errors import PlanNotStoredError
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.beginning import Shown
from wasm_executor.supervisor.pods.plans import StoredPlan
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.roster import Roster

log = structlog.get_logger()

_plan_decoder: Final = msgspec.json.Decoder(PodPlan)


class Commands:
    """Handlers, served while the node is granted."""

    def __init__(self, node: Node, roster: Roster) -> None:
        self._node = node
        self._roster = roster

    async def apply(self, _node: NodeName, command: PodApply) -> PodAck:
        self._check(command.incarnation, command.term)
        plan = command.plan
        if plan is None:
            plan = await self._fetch(command.plan_digest)
            self._check(command.incarnation, command.term)  # others may have come meanwhile
        self._verify(command, plan)
        self._raise_term(command.term)
        task = self._roster.get(command.uid)
        rank = Rank(term=command.term, revision=command.revision)
        stored = StoredPlan(rank=rank, digest=command.plan_digest, plan=plan)
        known_rank = None if task is None else task.stored.rank
        known_digest = "" if task is None else task.stored.digest
        if self._roster.is_going(command.uid):
            raise CommandError(503, "the pod is being forgotten")
        match standing(known_rank, known_digest, rank, command.plan_digest):
            case Standing.OUTDATED:
                raise CommandError(409, OLDER_PLAN)
            case Standing.NEW:
                self._take(task, stored, command)
                return self._ack(command, changed=True)
            case Standing.SAME:
                assert task is not None
                again = msgspec.structs.replace(task.stored, rank=rank)
                self._store(again)
                task.stored = again
                task.confirm()
            case Standing.REPEATED:
                pass
        return self._ack(command, changed=False)

    async def forget(self, _node: NodeName, command: PodForget) -> Done:
        self._check(command.incarnation, command.term)
        self._raise_term(command.term)
        task = self._roster.get(command.uid)
        if task is None:
            await self._roster.forget_unknown(command.uid, command.grace_s)
        else:
            self._require_room(task)
            task.put(Forgotten(grace_s=command.grace_s))
        return Done()

    async def report_all(self, _node: NodeName, command: ReportAll) -> Inventory:
        self._check(command.incarnation, command.term)
        self._raise_term(command.term)
        for task in self._roster:
            await task.say_all()
        return Inventory(
            incarnation=self._node.identity.incarnation,
            epoch=self._node.identity.epoch,
            entries=self._roster.entries(),
        )

    async def ping(self, _node: NodeName, _command: NodePing) -> NodePong:
        identity = self._node.identity
        return NodePong(incarnation=identity.incarnation, epoch=identity.epoch)

    # Checks

    def _check(self, incarnation: Incarnation, term: Term) -> None:
        if incarnation != self._node.identity.incarnation:
            raise CommandError(409, "another incarnation of this executor is meant")
        highest = self._node.standing.term
        if highest is not None and term < highest:
            raise CommandError(409, "stale term")

    def _raise_term(self, term: Term) -> None:
        standing_ = self._node.standing
        if standing_.term is None or term > standing_.term:
            self._node.keep_standing(msgspec.structs.replace(standing_, term=term))

    def _verify(self, command: PodApply, plan: PodPlan) -> None:
        if plan.uid != command.uid:
            raise CommandError(400, "the plan is of another pod")
        if plan_digest(plan) != command.plan_digest:
            raise CommandError(400, "the plan does not have the digest that was said")
        flaw = flaw_of(plan)
        if flaw is not None:
            raise CommandError(400, flaw)

    def _require_room(self, task: PodTask) -> None:
        if task.busy:
            raise CommandError(503, "the pod is busy")

    # Changes

    def _take(self, task: PodTask | None, stored: StoredPlan, command: PodApply) -> None:
        if task is None:
            self._store(stored)
            self._node.volumes.bring(command.uid, command.contents)
            shown = Shown(containers=command.last_status, started_at=command.started_at)
            self._roster.add(stored, shown)
            return
        self._require_room(task)
        if not has_same_containers(task.stored.plan, stored.plan):
            raise CommandError(400, "the containers of a pod cannot change")
        whole = completed(task.stored.plan, stored.plan)
        stored = msgspec.structs.replace(stored, plan=whole)
        self._store(stored)
        self._node.volumes.bring(command.uid, command.contents)
        task.stored = stored
        task.put(PlanArrived(plan=stored.plan))

    def _store(self, stored: StoredPlan) -> None:
        """Keep the plan before anything is done about it; the next try may find room."""
        try:
            self._node.plans.save(stored)
        except PlanNotStoredError as error:
            log.warning("plan.not_stored", pod_uid=stored.plan.uid, reason=error.reason)
            raise CommandError(503, str(error)) from error

    def _ack(self, command: PodApply, *, changed: bool) -> PodAck:
        return PodAck(uid=command.uid, plan_digest=command.plan_digest, changed=changed)

    async def _fetch(self, digest: str) -> PodPlan:
        """Read a plan that was too large for its command."""
        try:
            content = await self._node.blobs.read(digest)
        except (BusUnavailableError, CommandError) as error:
            raise CommandError(503, f"the plan cannot be read: {error}") from error
        try:
            return _plan_decoder.decode(content)
        except msgspec.MsgspecError as error:
            raise CommandError(400, f"not a plan: {error}") from error
