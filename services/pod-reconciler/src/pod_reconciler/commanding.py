"""Telling one executor what to run and what to forget, until it has said that it knows."""

from typing import Final

import structlog

from contract.ids import PodUid
from contract.messages.form import Incarnation
from contract.messages.pod import PodApply, PodForget
from contract.messages.report import ReportAll
from pod_reconciler.domain.duties import CommandDue, command_due
from pod_reconciler.domain.recalling import last_status
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.times import time_of
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.links import Links
from pod_reconciler.metrics import REPAIRS
from servicekit.tracing import step

log = structlog.get_logger()

CARRIED_BYTES: Final = 64 * 1024
"""What a plan takes along at most of its pod's own contents: a message has room for it."""


class Commander:
    """The steps of one node's command lane and stock-taking."""

    def __init__(self, view: NodeView, links: Links) -> None:
        self._view = view
        self._links = links

    async def step(self, uid: PodUid) -> float | None:
        """Send the command that is due for a pod."""
        record = self._view.records.get(uid)
        due = None if record is None else command_due(self._view, record)
        if record is None or due is None:
            return None
        match due:
            case CommandDue.APPLY:
                await self._apply(record)
            case CommandDue.FORGET:
                await self._forget(record)
        return 0.0

    def about(self, uid: PodUid) -> object:
        """What a command for this pod would be about now."""
        record = self._view.records.get(uid)
        if record is None:
            return None
        return command_due(self._view, record), record.plan_digest, self.holder()

    def holder(self) -> Incarnation | None:
        """Whom commands are for, if somebody has the node."""
        return None if self._view.grant is None else self._view.grant.holder

    async def take_stock(self) -> bool:
        """Ask for the inventory and for every report; False if nobody holds the node."""
        holder = self.holder()
        if holder is None:
            return False
        command = ReportAll(incarnation=holder, term=self._links.term())
        inventory = await self._links.executors.report_all(self._view.node, command)
        REPAIRS.inc()
        log.info("inventory.received", node=self._view.node, pods=len(inventory.entries))
        self._view.on_inventory(inventory)
        return True

    async def _apply(self, record: PodRecord) -> None:
        holder = self.holder()
        assert holder is not None, "nothing is due before somebody holds the node"
        assert record.plan is not None
        assert record.pod is not None
        executors = self._links.executors
        command = PodApply(
            uid=record.uid,
            incarnation=holder,
            term=self._links.term(),
            revision=executors.revisions.next(),
            plan_digest=record.plan_digest,
            plan=record.plan,
            last_status=last_status(record.pod),
            started_at=time_of(record.pod.status.get("startTime")),
            contents=_carried(record),
        )
        record.was_sent = True  # from here on it may have arrived, whatever is answered
        with step("bus.apply", kind="producer"):
            digest = await executors.apply(self._view.node, command)
        if self.holder() == holder:
            self._view.on_acked(record.uid, digest)

    async def _forget(self, record: PodRecord) -> None:
        holder = self.holder()
        assert holder is not None, "nothing is due before somebody holds the node"
        command = PodForget(uid=record.uid, incarnation=holder, term=self._links.term())
        await self._links.executors.forget(self._view.node, command)
        log.debug(
            "pod.forgotten",
            node=self._view.node,
            namespace=record.namespace,
            pod=record.name,
            pod_uid=record.uid,
        )
        if self.holder() == holder:
            self._view.on_forgotten(record.uid)


def _carried(record: PodRecord) -> tuple[bytes, ...]:
    """What only this pod has goes with its plan: asking for it would be one way there and back."""
    own = record.own_contents
    return own if sum(map(len, own)) <= CARRIED_BYTES else ()
