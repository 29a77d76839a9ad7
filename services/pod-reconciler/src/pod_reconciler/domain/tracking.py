"""One node's pods: what the watch shows, what the node reports, and how far the two agree.

Inputs arrive in any order and more than once; each leaves the view right. Nothing here takes
silence for an answer: a pod is gone only when the API said so, and an executor does not have a pod
only when its inventory said so.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

from contract.ids import NodeName, PodUid
from contract.messages.node import NodeBeat, NodeGranted
from contract.messages.report import Inventory, PodReported
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.deciding import Decider
from pod_reconciler.domain.granting import grant_after
from pod_reconciler.domain.lifecycle import PodEvent, PodState
from pod_reconciler.domain.material import Material
from pod_reconciler.domain.numbering import Ledger
from pod_reconciler.domain.pod import Pod, is_known
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.strangers import Strangers, can_exist
from pod_reconciler.domain.surroundings import ClusterNames, Surroundings, surroundings_of

_OPEN = frozenset({PodState.SEEN, PodState.REFUSED, PodState.ADMITTED})
_AFTER_THE_OBJECT = frozenset({PodState.GONE, PodState.FORGOTTEN})


class ReportFate(StrEnum):
    """What became of a report."""

    TAKEN = "taken"
    STALE = "stale"
    """A newer one is known, or the pod is being forgotten."""
    FOREIGN = "foreign"
    """Of an incarnation that does not hold the node."""
    UNPLACED = "unplaced"
    """The own watch does not place this pod on this node."""
    MALFORMED = "malformed"
    """No API server has a pod of such a name or UID."""


class NodeView:
    """See the module. `wall` gives the time of day."""

    def __init__(self, node: NodeName, wall: Callable[[], datetime]) -> None:
        self.node, self.names = node, ClusterNames()
        self.records: dict[PodUid, PodRecord] = {}
        self.strangers = Strangers()
        self.grant: NodeGranted | None = None
        self.inventory: dict[PodUid, str] | None = None
        self.synced = False
        self._ledger = Ledger()
        self._decider = Decider(wall)

    @property
    def is_live(self) -> bool:
        """Whether enough is known to decide: who holds the node, what it has, what the API has."""
        return self._is_manned and self.synced

    def is_live_for(self, record: PodRecord) -> bool:
        """Whether enough is known to decide about one pod: a static one needs no API server."""
        return self._is_manned and (self.synced or record.is_static)

    @property
    def _is_manned(self) -> bool:
        granted = self.grant is not None and bool(self.grant.host_ip)
        return granted and self.inventory is not None

    @property
    def surroundings(self) -> Surroundings:
        """What plans and statuses say about the node."""
        assert self.grant is not None
        return surroundings_of(self.node, self.grant.host_ip, self.grant.facts, self.names)

    def may_be_known(self, record: PodRecord) -> bool:
        """Whether the executor may have this pod. Only its inventory can say that it has not."""
        if self.inventory is None or record.was_sent:
            return True
        return record.uid in self.inventory or self._ledger.knows(record.uid)

    def news(self) -> Iterator[PodRecord]:
        """The pods decided about since the last call, each once."""
        return self._decider.news()

    def on_granted(self, grant: NodeGranted) -> bool:
        """The registrar says who holds the node; True if that is somebody new."""
        before, self.grant = self.grant, grant_after(self.grant, grant)
        is_new = before is None or before.holder != grant.holder
        if is_new:
            self._ledger = Ledger()
            self.inventory = None
            self.strangers.clear()
            for record in self.records.values():
                record.changed_hands()
        elif before is not None and before.host_ip != grant.host_ip:
            for record in self.records.values():
                record.changes += 1
        self._consider_all()
        return is_new

    def on_synced(self) -> None:
        """The watch has shown everything that there is."""
        self.synced = True
        self._consider_all()

    def on_pod(self, version: PodVersion, now_s: float, *, by_watch: bool = True) -> None:
        """A version of a pod: from the watch, or from the answer to a write of ours."""
        pod = version.pod
        record = self.records.get(PodUid(pod.metadata.uid)) or self._new_record(pod, now_s)
        record.in_watch |= by_watch
        if is_known(record.pod, pod):
            return
        record.pod, record.raw = pod, version.raw
        if by_watch:
            record.place, record.is_static = version.place, version.is_static
            record.waits_for_material = version.waits_for_material
        record.changes += 1
        if pod.metadata.deletion_timestamp and record.state in {*_OPEN, PodState.ENDED}:
            record.moved(PodEvent.DELETION_SEEN)
        elif pod.is_terminal and record.state in _OPEN:
            record.moved(PodEvent.END_SEEN)
            self._decider.taken.release(record.uid)
        self._consider(record)

    def on_material(self, uid: PodUid, material: Material) -> None:
        """What the API holds for a pod was read."""
        record = self.records.get(uid)
        if record is not None and record.take_material(material):
            self._consider(record)

    def on_object_gone(self, uid: PodUid, *, by_watch: bool) -> None:
        """The API object is gone, for certain."""
        if (record := self.records.get(uid)) is None:
            return
        record.in_watch &= not by_watch
        if record.state not in _AFTER_THE_OBJECT:
            record.moved(PodEvent.OBJECT_GONE)
            record.let_go()
        self._decider.taken.release(uid)
        self._drop_if_done(record)

    def on_report(self, report: PodReported, now_s: float) -> ReportFate:
        """A pod's whole state, as its node sees it."""
        if self.grant is None or report.incarnation != self.grant.holder:
            return ReportFate.FOREIGN
        record = self.records.get(report.uid)
        if record is None:
            return self._on_strange_report(report, now_s)
        if record.state is PodState.FORGOTTEN or not self._ledger.take(report):
            return ReportFate.STALE
        if record.report != report:
            record.report = report
            record.changes += 1
            self._consider(record)
        return ReportFate.TAKEN

    def on_inventory(self, inventory: Inventory) -> None:
        """Everything that the executor has."""
        if self.grant is None or inventory.incarnation != self.grant.holder:
            return
        digests = {entry.uid: entry.plan_digest for entry in inventory.entries}
        self.inventory = digests
        self._ledger.keep_only(digests)
        self.strangers.keep_only(digests)
        for entry in inventory.entries:
            if entry.uid not in self.records:
                self.strangers.note(entry)
        for record in tuple(self.records.values()):
            record.acked_digest = digests.get(record.uid, "")
            record.was_sent = record.uid in digests
            if record.was_sent and record.state is PodState.FORGOTTEN:
                record.moved(PodEvent.REMEMBERED)
            self._drop_if_done(record)
        self._consider_all()

    def on_beat(self, beat: NodeBeat) -> bool:
        """The executor lives; True if it must report everything again."""
        if self.grant is None or beat.incarnation != self.grant.holder:
            return False
        agrees = self._ledger.agrees(beat.inventory_digest)
        if agrees:
            self._on_agreement()
        for record in () if beat.shutting_down else self.records.values():
            record.outlived_shutdown |= record.ended_with_its_node
        return self._ledger.is_out_of_step(agrees=agrees)

    def on_acked(self, uid: PodUid, digest: str) -> None:
        """The executor has this plan."""
        if (record := self.records.get(uid)) is not None:
            record.acked_digest = digest
            record.was_sent = True

    def on_forgotten(self, uid: PodUid) -> None:
        """The executor has promised to stop and forget the pod."""
        record = self.records.get(uid)
        if record is not None and record.state is PodState.GONE:
            record.moved(PodEvent.FORGOTTEN)
            self._ledger.drop(uid)

    def on_removed(self, uid: PodUid) -> None:
        """Our grace-0 DELETE was accepted."""
        record = self.records.get(uid)
        if record is not None:
            record.outlived_shutdown = False
            if record.state is PodState.STOPPED:
                record.moved(PodEvent.REMOVED)

    def on_answer(self, uid: PodUid, found: Pod | None, now_s: float) -> None:
        """What a GET by name said about a stranger."""
        stranger = self.strangers.take_answer(uid, found, self.node, now_s)
        if stranger is None:
            return
        record = PodRecord(uid=uid, namespace=stranger.namespace, name=stranger.name, was_sent=True)
        record.moved(PodEvent.OBJECT_GONE)
        self.records[uid] = record

    def _on_agreement(self) -> None:
        """The executor has exactly the pods that were reported.

        So it has forgotten what it promised to forget. A plan that it acknowledged and does not
        have is sent again, at the cost of one command too many where its report is on the way.
        """
        self.inventory = self._ledger.plans()
        for record in tuple(self.records.values()):
            if record.state is PodState.FORGOTTEN:
                record.was_sent = False
                self._drop_if_done(record)
            elif not self._ledger.knows(record.uid):
                record.acked_digest = ""

    def _new_record(self, pod: Pod, now_s: float) -> PodRecord:
        metadata = pod.metadata
        uid = PodUid(metadata.uid)
        record = PodRecord(
            uid=uid, namespace=metadata.namespace, name=metadata.name, first_seen_s=now_s
        )
        if self.inventory is not None and uid in self.inventory:
            record.acked_digest, record.was_sent = self.inventory[uid], True
        stranger = self.strangers.pop(uid, None)
        if stranger is not None:
            record.report = stranger.report
            record.was_sent = True
        self.records[uid] = record
        return record

    def _on_strange_report(self, report: PodReported, now_s: float) -> ReportFate:
        if not can_exist(report.uid, report.namespace, report.name):
            return ReportFate.MALFORMED
        if not self.strangers.has_room_for(report.uid):
            return ReportFate.UNPLACED
        if self._ledger.take(report):
            self.strangers.tell(report, now_s)
        return ReportFate.UNPLACED if self.synced else ReportFate.TAKEN

    def _consider_all(self) -> None:
        for record in sorted(self.records.values(), key=lambda each: each.turn):
            self._consider(record)

    def _consider(self, record: PodRecord) -> None:
        if self.is_live_for(record) and record.pod is not None:
            assert self.grant is not None
            known = self.may_be_known(record)
            self._decider.consider(record, self.surroundings, self.grant.facts, known=known)

    def _drop_if_done(self, record: PodRecord) -> None:
        if record.state not in _AFTER_THE_OBJECT or record.in_watch or self.inventory is None:
            return
        if not self.may_be_known(record):
            self.records.pop(record.uid, None)
            self.strangers.forgotten(record.uid)
