"""One node's desk: what is seen and reported goes in, commands, status writes and Events go out.

Every input is taken in at once and changes the view; the lanes then do what the view says is due.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from contract.codec import encode
from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.node import NodeBeat, NodeGranted
from contract.messages.report import Occurrence, PodHappened, PodReported
from pod_reconciler.asking import Inquirer
from pod_reconciler.commanding import Commander
from pod_reconciler.crews import Crew
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.duties import command_due
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.pullsecrets import LACK_REASON, lack_message
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView, ReportFate
from pod_reconciler.dropping import DroppedReports
from pod_reconciler.lanes import About, Lane, Pace, Step, guarded
from pod_reconciler.links import Links, utc_now
from pod_reconciler.metrics import REFUSALS, REPORTS
from pod_reconciler.provisioning import Provisioner
from pod_reconciler.starts import Starts
from pod_reconciler.writing import Writer

log = structlog.get_logger()

IGNORED_REASON = "FieldsIgnored"
WAITING_REASON = "FailedCreatePodSandBox"
_ALL = PodUid("all")
"""The key of work that concerns the node as a whole."""


class NodeDesk:
    """See the module. Lives in the task group that it is given."""

    def __init__(self, node: NodeName, links: Links, tasks: asyncio.TaskGroup) -> None:
        self.node = node
        self.view = NodeView(node, utc_now)
        self.view.names = links.names
        self._links = links
        self._crew = Crew(tasks)
        self._starts = Starts(self.view, links.tracer)
        self._dropped = DroppedReports(self.view, links.clock)
        self._commander = Commander(self.view, links)
        self._writer = Writer(self.view, links)
        settings = links.settings
        commands = Pace(settings.command_backoff_s, settings.command_backoff_max_s)
        writes = Pace(settings.write_backoff_s, settings.write_backoff_max_s)

        def lane(name: str, step: Step, pace: Pace, *about: About) -> Lane:
            return Lane(
                self._crew, f"{name}-{node}", guarded(self._acting_after(step)), pace, *about
            )

        self._commands = lane("command", self._commander.step, commands, self._commander.about)
        self._writes = lane("write", self._writer.step, writes)
        self._questions = lane("question", Inquirer(self.view, links).step, writes)
        self._provisioner: Provisioner | None = None
        if links.supplies is not None:
            self._provisioner = Provisioner(self.view, links.supplies, self._act)
            self._provisions = lane("provision", self._provisioner.step, writes)
        holder = self._commander.holder
        take_stock = guarded(self._take_stock)
        self._stock = Lane(self._crew, f"stock-{node}", take_stock, commands, lambda _: holder())
        self._stock_wanted = False
        self._crew.create_task(links.cluster.follow(node, self), name=f"follow-{node}")

    # What the watch shows.

    def pod_seen(self, version: PodVersion) -> None:
        with self._starts.seen(version):
            self.view.on_pod(version, self._links.clock())
        self._act(PodUid(version.pod.metadata.uid))

    def pod_gone(self, uid: PodUid) -> None:
        self._starts.gone(uid)
        self.view.on_object_gone(uid, by_watch=True)
        self._act(uid)

    def synced(self) -> None:
        self.view.on_synced()
        self._act_on_all()

    def remembers(self, uid: PodUid) -> bool:
        """Whether there is a record of this pod."""
        return uid in self.view.records

    @property
    def node_uid(self) -> str:
        """The UID of the Node, as the registrar says it."""
        return "" if self.view.grant is None else self.view.grant.node_uid

    def write_timeout_s(self) -> float:
        """How long a write sent now may take."""
        return self._links.write_timeout_s()

    # What the bus says.

    def granted(self, grant: NodeGranted) -> None:
        """The registrar says who holds the node."""
        if self.view.on_granted(grant):
            log.info("node.granted", node=self.node, holder=grant.holder.executor_id)
            self.take_stock()
        self._act_on_all()

    def reported(self, report: PodReported) -> None:
        """A pod's whole state."""
        was_strange = report.uid in self.view.strangers
        fate = self.view.on_report(report, self._links.clock())
        REPORTS.labels(fate.value).inc()
        if fate is not ReportFate.FOREIGN:
            self._starts.reported(report.uid)
        if not was_strange:
            self._dropped.tell(report, fate)
        if report.uid in self.view.strangers:
            self._questions.poke(report.uid)
        self._act(report.uid)

    def happened(self, event: PodHappened) -> None:
        """Occurrences become Events, of pods that are placed here."""
        record = self.view.records.get(event.uid)
        if record is None or record.pod is None:
            return
        for what in event.occurrences:
            self._links.cluster.tell(self.node, record.pod, what)

    def beaten(self, beat: NodeBeat) -> None:
        """The executor lives, and says what it knows in one digest."""
        if self.view.on_beat(beat):
            log.info("inventory.differed", node=self.node, pods=beat.pods)
            self.take_stock()
        self._starts.give_up()
        self._act_on_all()

    def leave(self) -> None:
        """The term of leadership is over."""
        self._starts.leave("LeadershipLost")

    async def close(self) -> None:
        """The node has ended: nothing more is done about its pods, and nothing of them is kept.

        What the API still has of them is the garbage collector's, as of every node that is gone.
        """
        await self._crew.end()
        self._starts.leave("NodeEnded")
        if self._provisioner is not None:
            self._provisioner.leave()
        self._links.cluster.leave(self.node)

    def take_stock(self) -> None:
        """Ask the executor for everything that it has."""
        self._stock_wanted = True
        self._stock.poke(_ALL)

    # What others may read.

    def blob(self, digest: str) -> bytes | None:
        """The encoding of a plan that is current, or what a file of its volumes holds."""
        for record in self.view.records.values():
            if (content := record.blobs.get(digest)) is not None:
                return content
            if record.plan is not None and record.plan_digest == digest:
                return encode(record.plan)
        return None

    def pods(self) -> Sequence[PodRecord]:
        """The pods that the API binds to this node."""
        after = (PodState.GONE, PodState.FORGOTTEN)
        return [
            record
            for record in self.view.records.values()
            if record.pod is not None and record.state not in after
        ]

    def shown(self, record: PodRecord) -> bytes:
        """The pod with the newest status, be it written yet or not."""
        status = self._writer.unwritten(record)
        if status is None:
            return record.raw
        document = msgspec.json.decode(record.raw)
        document["status"] = document.get("status", {}) | status
        return msgspec.json.encode(document)

    # What follows.

    async def _take_stock(self, _: PodUid) -> float | None:
        if not self._stock_wanted:
            return None
        self._stock_wanted = False
        try:
            await self._commander.take_stock()
        except BaseException:
            self._stock_wanted = True
            raise
        self._act_on_all()
        return 0.0

    def _acting_after(self, step: Step) -> Step:
        """A step may make something due in another lane; one that had nothing to do does not."""

        async def acting_step(uid: PodUid) -> float | None:
            with self._starts.of(uid).here():
                pause_s = await step(uid)
            if pause_s is not None:
                self._starts.look_at(uid)
                self._act(uid)
            return pause_s

        return acting_step

    def _act_on_all(self) -> None:
        for uid in tuple(self.view.records):
            self._act(uid)
        for uid in tuple(self.view.strangers):
            self._questions.poke(uid)

    def _act(self, uid: PodUid) -> None:
        for decided in self.view.news():
            self._tell_decision(decided)
        self._tell_withheld(uid)
        if self._provisioner is not None and self._provisioner.is_due(uid):
            self._provisions.poke(uid)
        record = self.view.records.get(uid)
        if record is None:
            return
        if record.mishap:
            log.error("pod.not_understood", node=self.node, pod_uid=uid, error=record.mishap)
            record.mishap = ""
        if command_due(self.view, record) is not None:
            self._commands.poke(uid)
        if self._writer.due(record) is not None:
            self._writes.poke(uid)

    def _tell_decision(self, record: PodRecord) -> None:
        names = {"node": self.node, "namespace": record.namespace, "pod": record.name}
        refusal = record.refusal
        if refusal is not None:
            REFUSALS.labels(refusal.reason).inc()
            log.warning("pod.refused", **names, pod_uid=record.uid, reason=refusal.message)
            self._tell(record, refusal.reason, refusal.message, is_warning=True)
            return
        log.debug("pod.admitted", **names, pod_uid=record.uid)
        if record.ignored:
            self._tell(record, IGNORED_REASON, "; ".join(record.ignored), is_warning=False)

    def _tell_withheld(self, uid: PodUid) -> None:
        """Say what a kubelet says of an ephemeral container, or a Secret, that cannot be had.

        And of what a pod's plan could not be made, and what it cannot begin without.
        """
        record = self.view.records.get(uid)
        if record is not None and record.has_untold_wait:
            record.has_untold_wait = False
            self._tell(record, WAITING_REASON, record.awaited, is_warning=True)
        if record is not None and record.has_untold_lack:
            record.has_untold_lack = False
            self._tell(record, LACK_REASON, lack_message(record.lacking_secrets), is_warning=True)
        if record is not None and record.untold_faults:
            faults, record.untold_faults = "; ".join(record.untold_faults), ()
            log.warning("fields.ignored", node=self.node, pod_uid=uid, reason=faults)
            self._tell(record, IGNORED_REASON, faults, is_warning=True)
        if record is not None and record.untold:
            news, record.untold = record.untold, {}
            for name, fault in news.items():
                message = f"Error: {fault}"
                self._tell(record, "Failed", message, is_warning=True, container=name)

    def _tell(
        self,
        record: PodRecord,
        reason: str,
        message: str,
        *,
        is_warning: bool,
        container: str | None = None,
    ) -> None:
        assert record.pod is not None
        what = Occurrence(
            container=None if container is None else ContainerName(container),
            reason=reason,
            message=message,
            at=utc_now(),
            type="Warning" if is_warning else "Normal",
        )
        self._links.cluster.tell(self.node, record.pod, what)
