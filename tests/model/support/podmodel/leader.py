"""One term of the reconciler: what its desk does, without tasks.

A command waits for its answer and is sent again after a while; a write that failed is tried again.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.form import Command, Event, Message, Term
from contract.messages.node import NodeBeat, NodeGranted
from contract.messages.pod import PodAck, PodApply, PodForget
from contract.messages.report import Inventory, PodReported, ReportAll
from pod_reconciler.domain.cluster import PodVersion, StatusWrite
from pod_reconciler.domain.duties import (
    CommandDue,
    Hold,
    WriteDue,
    command_due,
    write_due,
)
from pod_reconciler.domain.pod import Pod, pod_from_json
from pod_reconciler.domain.recalling import last_status
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.telling import status_of
from pod_reconciler.domain.times import time_of
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.errors import PodAbsentError
from podmodel.apiserver import NODE, ApiServer
from podmodel.bus import Answered, Asked
from podmodel.clock import Clock
from podmodel.folder import Statics
from podmodel.telling import patch_of
from podmodel.validation import LISTS, TERMINAL, Json

TIMEOUT_S: Final = 5.0
AGAIN_S: Final = 0.5
CREATING_DELAY_S: Final = 0.25
STOCK: Final = "stock"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A command that waits for its answer."""

    number: int
    command: Command[Message]
    until: float


class Leader:
    """From the start of a term to its end."""

    def __init__(
        self,
        number: int,
        clock: Clock,
        api: ApiServer,
        send: Callable[[Asked], None],
        statics: Callable[[NodeView], Statics],
    ) -> None:
        self.number = number
        self.view = NodeView(NodeName(NODE), lambda: clock.steady)
        self.statics = statics(self.view)
        self.term = Term(created_at=datetime(2026, 1, 1, tzinfo=UTC), uid="l", transitions=number)
        self.failing_writes = 0
        """How many writes to come fail: those with an even number after they were done."""
        self._clock = clock
        self._api = api
        self._send = send
        self._stock_wanted = False
        self._open: dict[str, Question] = {}
        self._not_before: dict[str, float] = {}
        self._asked = 0
        self._revision = 0

    # What it hears

    def relist(self) -> None:
        """See all that there is, and what is not there any more."""
        self._api.changes.clear()
        for uid in tuple(self._api.pods):
            self.see(uid, self._api.raw(uid))
        known = [each for each in self.view.records if not self.statics.pods.has(each)]
        mirrors = self.statics.mirrors
        shown = [mirror for name in mirrors.names if (mirror := mirrors.of(*name)) is not None]
        for uid in (*known, *(mirror.metadata.uid for mirror in shown)):
            if uid not in self._api.pods:
                self.see(uid, None)
        self.statics.look()
        self.view.on_synced()

    def see(self, uid: str, raw: bytes | None) -> None:
        if raw is None:
            if self.statics.mirrors.gone(uid) is None:
                self.view.on_object_gone(PodUid(uid), by_watch=True)
        elif not self.statics.see(pod := pod_from_json(raw)):
            self.view.on_pod(PodVersion(pod, raw), self._clock.mono)

    def hear(self, event: Event) -> None:
        match event:
            case NodeGranted():
                self._stock_wanted |= self.view.on_granted(event)
            case NodeBeat():
                self._stock_wanted |= self.view.on_beat(event)
            case PodReported():
                self.view.on_report(event, self._clock.mono)
            case _:
                raise AssertionError(event)

    def answered(self, answer: Answered) -> None:
        lane = next((k for k, q in self._open.items() if q.number == answer.number), None)
        if lane is None:
            return  # it came too late
        question, reply = self._open.pop(lane), answer.reply
        if isinstance(reply, CommandError):
            self._revision += 1000
            self._fail(lane)
            return
        holder = None if self.view.grant is None else self.view.grant.holder
        match question.command, reply:
            case PodApply() as sent, PodAck() if sent.incarnation == holder:
                self.view.on_acked(sent.uid, reply.plan_digest)
            case PodForget() as sent, _ if sent.incarnation == holder:
                self.view.on_forgotten(sent.uid)
            case ReportAll(), Inventory():
                self.view.on_inventory(reply)
            case _:
                pass

    def shown(self) -> Iterator[tuple[tuple[str, str], Json]]:
        """The containers' statuses as far as it knows them: what a plan brings along."""
        for uid, record in self.view.records.items():
            known = {} if record.pod is None else record.pod.statuses_before()
            told = record.attempted or {}
            if told.get("phase") in TERMINAL:  # that is said first, whoever has the pod then
                known = {each["name"]: each for field in LISTS for each in told.get(field, ())}
            for name, status in known.items():
                yield (uid, name), status

    # What it does

    def next_time(self) -> float | None:
        times = [each.until for each in self._open.values()]
        times += [each for each in self._not_before.values() if each > self._clock.mono]
        times += [each.ask_at_s for each in self.view.strangers.values() if self.view.is_live]
        for record in self.view.records.values():
            due = write_due(self.view, record, self._clock.mono, CREATING_DELAY_S)
            if isinstance(due, Hold):
                times.append(due.until_s)
        return min(times, default=None)

    def act(self) -> bool:
        """Do all that is due; say whether there was anything."""
        now = self._clock.mono
        for lane in [lane for lane, each in self._open.items() if each.until <= now]:
            del self._open[lane]
            self._fail(lane)
        acted = self._take_stock()
        for _ in self.view.news():
            acted = True
        for record in tuple(self.view.records.values()):
            acted |= self._command(record)
            acted |= self._write(record)
        for name in sorted(self.statics.names):
            acted |= self._mirror(name)
        for uid, stranger in tuple(self.view.strangers.items()):
            if self.view.is_live and stranger.ask_at_s <= now:
                raw = self._api.raw(uid) if uid in self._api.pods else None
                self.view.on_answer(uid, None if raw is None else pod_from_json(raw), now)
                acted = True
        return acted

    def _take_stock(self) -> bool:
        grant = self.view.grant
        if not self._stock_wanted or grant is None or self._is_waiting(STOCK):
            return False
        self._stock_wanted = False
        self._ask(STOCK, ReportAll(incarnation=grant.holder, term=self.term))
        return True

    def _command(self, record: PodRecord) -> bool:
        due, lane = command_due(self.view, record), f"command {record.uid}"
        if due is None or self._is_waiting(lane):
            return False
        assert self.view.grant is not None
        holder = self.view.grant.holder
        if due is CommandDue.FORGET:
            self._ask(lane, PodForget(uid=record.uid, incarnation=holder, term=self.term))
            return True
        assert record.pod is not None
        self._revision += 1
        record.was_sent = True
        apply = PodApply(
            uid=record.uid,
            incarnation=holder,
            term=self.term,
            revision=self._revision,
            plan_digest=record.plan_digest,
            plan=record.plan,
            last_status=last_status(record.pod),
            started_at=time_of(record.pod.status.get("startTime")),
        )
        self._ask(lane, apply)
        return True

    def _ask(self, lane: str, command: Command[Message]) -> None:
        self._asked += 1
        until = self._clock.mono + TIMEOUT_S
        self._open[lane] = Question(number=self._asked, command=command, until=until)
        self._send(Asked(leader=self.number, number=self._asked, command=command))

    def _write(self, record: PodRecord) -> bool:
        lane = f"write {record.uid}"
        due = write_due(self.view, record, self._clock.mono, CREATING_DELAY_S)
        if due is None or isinstance(due, Hold) or self._is_waiting(lane):
            return False
        if due is WriteDue.STATUS:
            self._write_status(record, lane)
        elif not self._is_failing(lane):
            self._remove(record)
        return True

    def _write_status(self, record: PodRecord, lane: str) -> None:
        patch, before = self.patch(record), record.pod
        assert before is not None
        if patch is None:
            record.settled, record.attempted = record.changes, None
            return
        record.attempted = status_of(self.view, record, self._clock.steady)
        fails = not record.is_static and self._is_failing(lane)
        if fails and self.failing_writes % 2:
            return
        if record.is_static:
            self._write_static(record, before, patch)
            return
        raw = self._api.patch_status(record.uid, patch)
        if fails:
            return  # it was done, and nobody said so
        if raw is None:
            self.view.on_object_gone(record.uid, by_watch=False)
            return
        record.attempted = None
        self.view.on_pod(PodVersion(pod_from_json(raw), raw), self._clock.mono, by_watch=False)
        if record.pod is not None and record.pod.metadata.generation == before.metadata.generation:
            record.settled = record.changes  # else there is more to say

    def _write_static(self, record: PodRecord, pod: Pod, patch: bytes) -> None:
        """Into memory, which never fails."""
        status = status_of(self.view, record, self._clock.steady)
        write = StatusWrite(pod=pod, status=status, patch=patch)
        try:
            version = self.statics.pods.write_status(write)
        except PodAbsentError:
            self.view.on_object_gone(record.uid, by_watch=False)
            return
        record.attempted = None
        self.view.on_pod(version, self._clock.mono, by_watch=False)
        record.settled = record.changes

    def _mirror(self, name: tuple[str, str]) -> bool:
        lane = f"mirror {name}"
        if self.statics.due(name) is None or self._is_waiting(lane):
            return False
        fails = self._is_failing(lane)
        if not (fails and self.failing_writes % 2):
            self.statics.do(name, unheard=fails)
        return True

    def patch(self, record: PodRecord) -> bytes | None:
        """What would have to be written now; None where the API shows it already."""
        return patch_of(self.view, record, self._clock.steady)

    def _remove(self, record: PodRecord) -> None:
        if record.pod is not None and self.statics.pods.has(record.uid):
            self.statics.pods.remove(record.pod)
            self.view.on_removed(record.uid)
        elif record.uid in self._api.pods:
            self._api.remove(record.uid)
            self.view.on_removed(record.uid)
        else:
            self.view.on_object_gone(record.uid, by_watch=False)

    def _is_failing(self, lane: str) -> bool:
        if self.failing_writes <= 0:
            return False
        self.failing_writes -= 1
        self._fail(lane)
        return True

    def _fail(self, lane: str) -> None:
        self._not_before[lane] = self._clock.mono + AGAIN_S
        self._stock_wanted |= lane == STOCK

    def _is_waiting(self, lane: str) -> bool:
        return lane in self._open or self._not_before.get(lane, 0.0) > self._clock.mono
