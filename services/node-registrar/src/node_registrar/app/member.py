"""One node of the pool: what has been heard of it, and what is written about it.

Mutable and owned by one event loop. Whoever grants or creates holds `lock`; everyone else only
notes what arrived and wakes the tasks that act on it.
"""

import asyncio
from typing import Final

import msgspec
import structlog

from contract.ids import NodeName
from contract.messages.node import NodeBeat, NodeFacts, NodeGranted
from node_registrar.domain import liveness
from node_registrar.domain.addresses import Endpoint
from node_registrar.domain.conditions import Pressures
from node_registrar.domain.granting import VACANT_GRANT, Grant
from node_registrar.domain.liveness import Beat, Health, Verdict
from node_registrar.domain.node_view import HostView, NodeView

log = structlog.get_logger()


class Member:
    """The state of one node."""

    def __init__(self, name: NodeName, *, fresh_s: float) -> None:
        self.name: Final = name
        self.lock: Final = asyncio.Lock()
        self.status_wake: Final = asyncio.Event()
        self.lease_wake: Final = asyncio.Event()
        self.host_wake: Final = asyncio.Event()
        self.opened = False
        self.grant: Grant = VACANT_GRANT
        self.facts: NodeFacts | None = None
        self.shown_facts: NodeFacts | None = None
        """What the Node showed when it was found: good until its executor says more."""
        self.pressures = Pressures()
        self.shutting_down = False
        self.heard_at: float | None = None
        self.spoken_at: float | None = None
        """When anybody last asked for the name, gave it back or beat, be it the holder or not."""
        self.learned_at: float | None = None
        self.health = Health.UNASKED
        self.tolerated = False
        self.endpoint: Endpoint | None = None
        self.endpoint_heard_at: float | None = None
        self.endpoint_refusal: str | None = None
        self.host_ip = ""
        self.node: NodeView | None = None
        self.host: HostView | None = None
        self.pods: int | None = None
        self.adopted = False
        self.report_due_at: float | None = None
        self.complaint = ""
        self.published: NodeGranted | None = None
        self._lost_uid = ""
        self._fresh_s = fresh_s

    @property
    def node_uid(self) -> str:
        """The UID of the Node object, empty while there is none."""
        return self.node.metadata.uid if self.node is not None else ""

    def wake(self) -> None:
        """Let the tasks of this node look again, now."""
        self.status_wake.set()
        self.lease_wake.set()

    def hear(self, now: float) -> None:
        """Note a sign of life of the holder."""
        returned = self.beat_age(now) is Beat.STALE
        self.heard_at = now
        self.health = Health.UNASKED
        if returned:
            self.wake()

    def take_beat(self, beat: NodeBeat, now: float) -> None:
        """Note a beat of the holder."""
        pressures = Pressures(
            memory=beat.memory_pressure, disk=beat.disk_pressure, pid=beat.pid_pressure
        )
        if pressures != self.pressures or beat.shutting_down != self.shutting_down:
            self.pressures = pressures
            self.shutting_down = beat.shutting_down
            self.status_wake.set()
        if beat.pods != self.pods:
            self.pods = beat.pods
            self.host_wake.set()
        self.hear(now)

    def take_node(self, view: NodeView) -> None:
        """Note a version of the Node object, unless a later one is known, or that it is gone."""
        if view.metadata.uid == self._lost_uid:
            return  # the answer to a write, which was on its way when the Node went
        if self.node is not None and view.is_older_than(self.node):
            return
        if self.node_uid != view.metadata.uid:
            self.lease_wake.set()
        self.node = view
        self.status_wake.set()
        self.host_wake.set()

    def lose_node(self, uid: str) -> None:
        """Note that the Node object of this UID is gone."""
        if not uid:
            return
        self._lost_uid = uid
        if self.node_uid == uid:
            self.node = None
            self.status_wake.set()

    def silent_s(self, now: float, hearing_since: float) -> float:
        """Return for how long the holder could have been heard, and was not."""
        known = (self.heard_at, self.learned_at, hearing_since)
        return now - max(at for at in known if at is not None)

    def beat_age(self, now: float) -> Beat:
        """Return how old the last sign of life is."""
        return liveness.beat_of(self.heard_at, now, self._fresh_s)

    def alive(self, now: float) -> bool:
        """Say whether the holder is known to live, by its beat or by the last `/healthz`."""
        return liveness.verdict(self.beat_age(now), self.health) is Verdict.RENEW

    def complain(self, what: str, **fields: str) -> None:
        """Log what is said again every few seconds only when it is news."""
        complaint = f"{what} {fields}"
        if complaint != self.complaint:
            self.complaint = complaint
            log.warning(what, node=self.name, **fields)

    def granted_event(self) -> NodeGranted | None:
        """Return what the other services hear of this node, None while nobody holds it."""
        if not self.grant.in_force or self.grant.holder is None:
            return None
        # Nobody who hears of grants asks for the images, and this is said every few seconds.
        facts = self.facts or self.shown_facts
        facts = facts and msgspec.structs.replace(facts, images=())
        return NodeGranted(
            node=self.name,
            holder=self.grant.holder,
            host_ip=self.host_ip,
            node_uid=self.node_uid,
            facts=facts,
        )
