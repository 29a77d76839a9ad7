"""An executor without tasks: one supervisor of one keeper, driving the pure domain.

It does what the real one's edges do, in the same order, and nothing waits: what takes time is a
piece of work that the test brings to an end.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from contract.ids import ContainerName
from contract.messages.form import Event
from contract.messages.report import ContainerReport
from podmodel.clock import Clock
from podmodel.disk import Disk, StoredPlan
from podmodel.keeper import Keeper, Key
from podmodel.livepod import LivePod
from podmodel.planless import Planless
from podmodel.voice import Voice
from podmodel.witness import Witness
from podmodel.work import Work
from wasm_executor.domain.backoff import BackOffRules
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.effects import (
    AbandonRun,
    CloseStdin,
    Effect,
    ForgetRun,
    Happened,
    PlaceDrainFile,
    SignalRun,
)
from wasm_executor.domain.frame import Cause, Rules
from wasm_executor.domain.inputs import Halted, Input, RunEnded, RunRefused, RunStarted, Woken
from wasm_executor.domain.restoring import (
    Present,
    restore,
)
from wasm_executor.domain.states import ALIVE
from wasm_executor.domain.witnesses import (
    is_ahead,
    new_record,
    record_of_present,
    record_of_status,
)

RULES = Rules(
    restarts=BackOffRules(initial_s=10.0, max_s=40.0, reset_after_s=80.0),
    images=BackOffRules(initial_s=10.0, max_s=40.0),
)


class Executor:
    """From the start of a supervisor to its end."""

    def __init__(
        self,
        clock: Clock,
        keeper: Keeper,
        disk: Disk,
        witness: Witness,
        publish: Callable[[Event], None],
    ) -> None:
        self.clock = clock
        self.keeper = keeper
        self.disk = disk
        self.pods: dict[str, LivePod] = {}
        self.planless = Planless(clock, keeper, disk, RULES)
        self.halting = False
        self._witness = witness
        self.voice = Voice(disk, publish)

    # Beginning

    def adopt(self) -> None:
        """Go on with what a supervisor before this one had."""
        self.keeper.exits.clear()  # the table tells of them
        for stored in tuple(self.disk.plans.values()):
            self._begin(stored)
        known = set(self.disk.uids())
        for uid in {key.uid for key in self.keeper.table} - self.pods.keys():
            assert uid in known, f"{uid} ran and nobody knew of it"
            self.planless.take(uid)
            for key, process in self.keeper.table.items():
                if key.uid == uid and process.code is not None:
                    self._witness.heard_without_plan(key, process.code)

    def add(
        self,
        stored: StoredPlan,
        last_status: Sequence[ContainerReport],
        started_at: datetime | None,
    ) -> None:
        self.planless.give(stored.plan.uid)
        self._begin(stored, last_status, started_at)

    def _begin(
        self,
        stored: StoredPlan,
        last_status: Sequence[ContainerReport] = (),
        started_at: datetime | None = None,
    ) -> None:
        uid, now = stored.plan.uid, self.clock.now
        present = self.keeper.present(uid)
        record = self._past(stored, present, last_status)
        if started_at is not None and started_at < record.started_at:
            record = msgspec.structs.replace(record, started_at=started_at)
        one, twin = (
            restore(
                stored.plan,
                record,
                present,
                same_life=record.start_count == self.disk.life,
                now=now,
                rules=RULES,
            )
            for _ in range(2)
        )
        pod = LivePod(self.clock, stored, record.started_at, one, twin, Work())
        self.pods[uid] = pod
        self._witness.adopted(pod.pod, now)
        self._end_strays(pod, present)
        for news in pod.first:
            self.tell(pod, news)

    def _past(
        self,
        stored: StoredPlan,
        present: Sequence[Present],
        last_status: Sequence[ContainerReport],
    ) -> PodRecord:
        record, now = self.disk.record(stored.plan.uid), self.clock.now
        told = record_of_status(stored.plan, last_status, now)
        if record is not None and (present or not is_ahead(told, record)):
            return record
        if present:
            return record_of_present(stored.plan, present, self.disk.life, now)
        return told if last_status else new_record(stored.plan, self.disk.life, now)

    def _end_strays(self, pod: LivePod, present: Sequence[Present]) -> None:
        uid = pod.pod.plan.uid
        kept = {
            (each.plan.name, each.history.run) for each in pod.pod.containers if each.phase in ALIVE
        }
        for run in present:
            if (run.container, run.run) not in kept:
                assert run.end is not None, f"{uid} gives up {run.container}, which runs"
                self.keeper.forget(Key(uid, run.container, run.run))

    # Living

    def tell(self, pod: LivePod, news: Input) -> None:
        """Hand a pod its news and do what follows."""
        if pod.over:
            return
        uid = pod.pod.plan.uid
        self._witness.told(pod.pod, news)
        effects = pod.hear(news)
        self._witness.looked_at(pod.pod)
        if isinstance(news, RunEnded):
            self._witness.heard(Key(uid, news.container, news.run), news.exit_code, pod.pod)
        self.disk.keep(pod.pod.record(pod.started_at, self.disk.life))
        for effect in effects:
            self._do(pod, effect)
        self.voice.say(pod)
        if pod.pod.quiet and pod.pod.stopped:
            pod.over = True
            if pod.pod.cause is Cause.FORGOTTEN:
                del self.pods[uid]
                self.disk.drop(uid)

    def _do(self, pod: LivePod, effect: Effect) -> None:
        uid = pod.pod.plan.uid
        match effect:
            case Happened():
                self._witness.happened(uid, effect.occurrence, pod.pod)
            case SignalRun():
                key = Key(uid, effect.container, effect.run)
                self._witness.signals(key, effect.signum, pod.pod)
                self.keeper.tell(key, effect.signum)
            case CloseStdin() | PlaceDrainFile():
                self.keeper.tell(Key(uid, effect.container, effect.run), 0)
            case AbandonRun():
                pass  # no disk of the model is ever full
            case ForgetRun():
                self.keeper.forget(Key(uid, effect.container, effect.run))
                pod.work.take(effect)
            case _:
                pod.work.take(effect)

    # What comes of its work

    def start(self, pod: LivePod, name: str, *, dies_with: int | None = None) -> None:
        """A guest begins; it may have ended before anybody says that it has begun."""
        start = pod.work.starts.pop(ContainerName(name))
        want = start.want
        key = Key(pod.pod.plan.uid, name, want.run)
        self._witness.spawns(key, start.image)
        process = self.keeper.spawn(key, start.image)
        if dies_with is not None:
            self.keeper.end(key, dies_with)
            self.hear_exits()
        began = process.started_at
        news = RunStarted(container=want.container, run=want.run, pid=process.pid, at=began)
        self.tell(pod, news)

    def refuse(self, pod: LivePod, name: str) -> None:
        want = pod.work.starts.pop(ContainerName(name)).want
        news = RunRefused(container=want.container, run=want.run, message="no such function")
        self.tell(pod, news)
        self._witness.refused(Key(pod.pod.plan.uid, name, want.run), pod.pod)

    def hear_exits(self) -> bool:
        """Bring each end to its pod."""
        heard = bool(self.keeper.exits)
        while self.keeper.exits:
            key = self.keeper.exits.pop(0)
            process = self.keeper.table.get(key)
            if process is None:
                continue
            pod = self.pods.get(key.uid)
            if pod is not None and not pod.over:
                self.tell(pod, self.keeper.ended(process))
            elif self.planless.hear(key):
                assert process.code is not None
                self._witness.heard_without_plan(key, process.code)
            else:
                self.keeper.forget(key)
        return heard

    def beat(self) -> None:
        self.voice.beat(self.pods, self.planless.uids, self.clock.now.wall)

    # Time

    def next_time(self) -> float | None:
        times = [each.next_time() for each in self.pods.values()]
        times.append(self.planless.kill_at)
        return min((each for each in times if each is not None), default=None)

    def wake(self) -> None:
        """Do what the time has come for."""
        for pod in tuple(self.pods.values()):
            due_at = pod.next_time()
            if due_at is not None and due_at <= self.clock.mono:
                self.tell(pod, Woken())
        self.planless.wake()

    def halt(self) -> None:
        """The executor stops as it should: its containers end within their grace."""
        self.halting = True
        self.planless.halt()
        for pod in tuple(self.pods.values()):
            self.tell(pod, Halted())

    @property
    def halted(self) -> bool:
        return self.halting and all(each.over for each in self.pods.values())
