"""One pod: its containers in spec order, and how it begins, changes and ends.

The pod's task feeds it one input at a time and does what it then wants. It neither waits nor knows
a bus, so every rule of it can be tested with a clock in the hand.
"""

from datetime import datetime
from typing import Final

from contract.messages.pod import PodPlan
from contract.messages.report import ContainerReport
from wasm_executor.domain import occurrences
from wasm_executor.domain.checkpoint import PodRecord, Sentence
from wasm_executor.domain.container import Container
from wasm_executor.domain.effects import Effect
from wasm_executor.domain.frame import Cause, Frame, Rules
from wasm_executor.domain.inputs import (
    Condemned,
    Confirmed,
    ContainerInput,
    Deleted,
    Forgotten,
    Halted,
    HookFinished,
    ImagePrepared,
    Input,
    MemoryExceeded,
    PlanArrived,
    PreparationFailed,
    ProbeFinished,
    RunEnded,
    RunRefused,
    RunStarted,
    VolumesFailed,
    VolumesPrepared,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.mounting import Mounting
from wasm_executor.domain.ordering import completed
from wasm_executor.domain.recording import record_of
from wasm_executor.domain.rounds import Rounds
from wasm_executor.domain.showing import show
from wasm_executor.domain.states import MAY_TAKE_LONG, STAYING, UNDERWAY, UNSETTLED, Phase
from wasm_executor.domain.turns import is_finished, may_begin, may_end

DEADLINE: Final = Sentence(
    reason=occurrences.DEADLINE_EXCEEDED,
    message="Pod was active on the node longer than the specified deadline",
)


class Pod:
    """What is true of one pod on this node."""

    def __init__(self, frame: Frame, containers: list[Container], begun_at: float) -> None:
        self._frame = frame
        self.containers = containers
        self._by_name = {each.plan.name: each for each in containers}
        self._begun_at = begun_at
        """On the monotonic clock: its deadline counts from there."""
        self._unsure_until: float | None = None
        self._mounting = Mounting(frame)
        self._rounds = Rounds(frame)

    @classmethod
    def new(cls, plan: PodPlan, rules: Rules, now: Moment) -> "Pod":
        """Return a pod of which nothing has happened yet."""
        frame = Frame(plan, rules)
        return cls(frame, [Container(frame, each) for each in plan.containers], now.mono)

    @property
    def plan(self) -> PodPlan:
        return self._frame.plan

    @property
    def stopped(self) -> bool:
        """Every container is dead, and none will run again."""
        ended = all(each.phase is Phase.ENDED for each in self.containers)
        return ended and not self._frame.restarting_all

    @property
    def settled(self) -> bool:
        """No container is in a state that a moment changes."""
        starting = any(each.phase in UNSETTLED for each in self.containers)
        return not (starting or self.unsure or self._mounting.under_way)

    @property
    def awaits_volumes(self) -> bool:
        """No container has begun, for its volumes are not there yet."""
        return not (
            self._mounting.complete or any(each.history.run >= 0 for each in self.containers)
        )

    @property
    def unsure(self) -> bool:
        """It waits for the word that it is still wanted."""
        return self._unsure_until is not None

    @property
    def preparing(self) -> bool:
        """An image is being found, pulled or compiled, or a hook runs, which may take long."""
        return any(each.phase in MAY_TAKE_LONG for each in self.containers)

    @property
    def quiet(self) -> bool:
        """Nobody is to hear of this pod any more."""
        return self._frame.quiet

    @property
    def cause(self) -> Cause | None:
        """Why it ends, if it does."""
        return None if self._frame.ending is None else self._frame.ending.cause

    @property
    def sentence(self) -> Sentence | None:
        """Why the node ends it, if it does."""
        return self._frame.sentence

    @property
    def restarting_all(self) -> bool:
        return self._frame.restarting_all

    def reports(self) -> tuple[ContainerReport, ...]:
        return tuple(show(each) for each in self.containers)

    def next_wake(self) -> float | None:
        """Return when to call `handle` again though nothing has arrived."""
        times = [each.next_wake() for each in self.containers]
        times += (self._deadline(), self._mounting.wake_at, self._unsure_until)
        times.append(self._rounds.wake_at)
        return min((each for each in times if each is not None), default=None)

    def handle(self, news: Input, now: Moment) -> list[Effect]:
        """Take one input; return what is to be done."""
        self._hear(news, now)
        self._take(news, now)
        for each in self.containers:
            each.wake(now)
        self._look_at_deadline(now)
        self._rounds.go_on(self.containers, now)
        if self._frame.ending is None and is_finished(self.containers):
            self._end_unless_restarting(now)
        self._hold_to_ending(now)
        for each in self.containers:
            each.stopping.go_if_free(now, turn=may_end(each, self.containers))
        self._mounting.go_on(now)
        self._give_turns()
        if self.stopped:
            self._account(now)
        return self._frame.taken()

    def doubt(self, now: Moment) -> None:
        """Begin nothing before the word that the pod is still wanted, for as long as it may take.

        Its plan is of an earlier life: it may have been deleted while nobody was here.
        """
        self._unsure_until = now.mono + self._frame.rules.word_s

    def _hear(self, news: Input, now: Moment) -> None:
        """Look for the word; where none comes, what was wanted last is."""
        if self._unsure_until is not None and (
            isinstance(news, Confirmed | PlanArrived) or now.mono >= self._unsure_until
        ):
            self._unsure_until = None

    def _take(self, news: Input, now: Moment) -> None:
        match news:
            case PlanArrived():
                self._apply(news.plan, now)
            case VolumesPrepared():
                self._mounting.prepared(news)
            case VolumesFailed():
                self._mounting.failed(news, now)
            case ContainerInput():
                tell(self._by_name[news.container], news, now)
            case _:
                self._take_end(news, now)

    def _take_end(self, news: Input, now: Moment) -> None:
        match news:
            case Deleted():
                self._end(Cause.DELETED, news.grace_s, now)
            case Condemned():
                self._condemn(news.sentence, news.grace_s, now)
            case Forgotten():
                self._end(Cause.FORGOTTEN, news.grace_s, now)
            case Halted():
                own_s = self.plan.termination_grace_s
                grace_s = own_s if news.grace_s is None else news.grace_s
                self._end(Cause.HALTED, grace_s, now)
            case _:
                pass  # time has passed: every input wakes what is due

    def _apply(self, plan: PodPlan, now: Moment) -> None:
        """Take a changed plan: other images, an end, a deadline, new ephemeral containers."""
        before = self._frame.plan
        self._frame.plan = completed(before, plan)
        self._mounting.renew(before)
        for each in self._frame.plan.containers:
            container = self._by_name.get(each.name)
            if container is not None:
                container.redefine(each, now)
                continue
            self._by_name[each.name] = Container(self._frame, each)
            self.containers.append(self._by_name[each.name])
        if plan.deletion is not None:
            self._end(Cause.DELETED, plan.deletion.grace_s, now)

    # Ending

    def _deadline(self) -> float | None:
        """Return when the pod has run for long enough, if that is still to come."""
        deadline_s = self.plan.active_deadline_s
        if deadline_s is None or self.quiet or self._frame.sentence is not None or self.stopped:
            return None
        return self._begun_at + deadline_s

    def _look_at_deadline(self, now: Moment) -> None:
        deadline = self._deadline()
        if deadline is not None and now.mono >= deadline:
            self._condemn(DEADLINE, self.plan.termination_grace_s, now)

    def _condemn(self, sentence: Sentence, grace_s: float, now: Moment) -> None:
        if self._frame.sentence is None and not self.stopped:
            self._frame.sentence = sentence
            self._frame.tell(occurrences.sentenced(sentence, now))
        self._end(Cause.CONDEMNED, grace_s, now)

    def _end(self, cause: Cause, grace_s: float, now: Moment) -> None:
        self._frame.end(cause, grace_s, now)
        for each in self.containers:
            each.stopping.stop(now)

    def _end_unless_restarting(self, now: Moment) -> None:
        if not self._frame.restarting_all:
            self._end(Cause.FINISHED, self.plan.termination_grace_s, now)

    def _account(self, now: Moment) -> None:
        for each in self.containers:
            each.stopping.account(now)
        if not self.quiet:
            self._mounting.drop()

    def _hold_to_ending(self, now: Moment) -> None:
        """A start that could not be taken back any more ends as soon as it is one."""
        if self._frame.ending is not None:
            for each in self.containers:
                if each.phase in STAYING or each.phase not in UNDERWAY | {Phase.ENDED}:
                    each.stopping.stop(now)

    def _give_turns(self) -> None:
        if self._mounting.complete and not (self.unsure or self._frame.starts_nothing):
            for each in may_begin(self.containers):
                each.begin()

    def record(self, started_at: datetime, life: int) -> PodRecord:
        """Return what must survive."""
        return PodRecord(
            uid=self.plan.uid,
            namespace=self.plan.namespace,
            name=self.plan.name,
            started_at=started_at,
            begun_mono=self._begun_at,
            start_count=life,
            containers=tuple(record_of(each) for each in self.containers),
            sentence=self._frame.sentence,
            restarting_all=self._frame.restarting_all,
            forgotten=self.cause is Cause.FORGOTTEN,
        )


def tell(container: Container, news: ContainerInput, now: Moment) -> None:
    """Hand a container what concerns it alone."""
    match news:
        case ImagePrepared():
            container.image_prepared(news, now)
        case PreparationFailed():
            container.preparation_failed(news, now)
        case RunStarted():
            container.started(news, now)
        case RunRefused():
            container.refused(news, now)
        case RunEnded():
            container.ended(news, now)
        case MemoryExceeded():
            container.stopping.exceed_memory(news.run)
        case _:
            _tell_of_check(container, news, now)


def _tell_of_check(container: Container, news: ContainerInput, now: Moment) -> None:
    match news:
        case ProbeFinished():
            container.living.probed(news, now)
        case HookFinished():
            container.living.hook_finished(news, now)
