"""One pod: its containers in spec order, and how it begins, changes and ends.

The pod's task feeds it one input at a time and does what it then wants. It neither waits nor knows
a bus, so every rule of it can be tested with a clock in the hand.
"""

from datetime import datetime

from contract.messages.pod import PodPlan
from contract.messages.report import ContainerReport
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.effects import Effect
from wasm_executor.domain.frame import Cause, Frame, Rules
from wasm_executor.domain.inputs import (
    Deleted,
    Forgotten,
    Halted,
    ImagePrepared,
    Input,
    MemoryExceeded,
    PlanArrived,
    PreparationFailed,
    RunEnded,
    RunRefused,
    RunStarted,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.showing import show
from wasm_executor.domain.states import UNSETTLED, Phase


class Pod:
    """What is true of one pod on this node."""

    def __init__(self, frame: Frame, containers: list[Container]) -> None:
        self._frame = frame
        self.containers = containers
        self._by_name = {each.plan.name: each for each in containers}

    @classmethod
    def new(cls, plan: PodPlan, rules: Rules) -> "Pod":
        """Return a pod of which nothing has happened yet."""
        frame = Frame(plan, rules)
        return cls(frame, [Container(frame, each) for each in plan.containers])

    @property
    def plan(self) -> PodPlan:
        return self._frame.plan

    @property
    def stopped(self) -> bool:
        """Every container is dead, and none will run again."""
        return all(each.phase is Phase.ENDED for each in self.containers)

    @property
    def settled(self) -> bool:
        """No container is in a state that a moment changes."""
        return not any(each.phase in UNSETTLED for each in self.containers)

    @property
    def preparing(self) -> bool:
        """An image is being found, pulled or compiled, which may take long."""
        return any(each.phase is Phase.PREPARING for each in self.containers)

    @property
    def quiet(self) -> bool:
        """Nobody is to hear of this pod any more."""
        return self._frame.quiet

    @property
    def cause(self) -> Cause | None:
        """Why it ends, if it does."""
        return None if self._frame.ending is None else self._frame.ending.cause

    def reports(self) -> tuple[ContainerReport, ...]:
        return tuple(show(each) for each in self.containers)

    def next_wake(self) -> float | None:
        """Return when to call `handle` again though nothing has arrived."""
        times = (each.pause.wake_at for each in self.containers)
        return min((each for each in times if each is not None), default=None)

    def handle(self, news: Input, now: Moment) -> list[Effect]:
        """Take one input; return what is to be done."""
        self._take(news, now)
        for each in self.containers:
            each.wake(now)
        self._give_turns()
        return self._frame.taken()

    def _take(self, news: Input, now: Moment) -> None:
        match news:
            case PlanArrived():
                self._apply(news.plan, now)
            case Deleted():
                self._end(Cause.DELETED, news.grace_s, now)
            case Forgotten():
                self._end(Cause.FORGOTTEN, news.grace_s, now)
            case Halted():
                own_s = self.plan.termination_grace_s
                grace_s = own_s if news.grace_s is None else news.grace_s
                self._end(Cause.HALTED, grace_s, now)
            case (
                ImagePrepared()
                | PreparationFailed()
                | RunStarted()
                | RunRefused()
                | RunEnded()
                | MemoryExceeded()
            ):
                self._tell_container(self._by_name[news.container], news, now)
            case _:
                pass  # time has passed: every input wakes what is due

    def _tell_container(self, container: Container, news: Input, now: Moment) -> None:
        match news:
            case ImagePrepared():
                container.image_prepared(news)
            case PreparationFailed():
                container.preparation_failed(news, now)
            case RunStarted():
                container.started(news, now)
            case RunRefused():
                container.refused(news, now)
            case RunEnded():
                container.ended(news, now)
            case MemoryExceeded():
                container.memory_exceeded(news.run)

    def _apply(self, plan: PodPlan, now: Moment) -> None:
        self._frame.plan = plan
        for container, changed in zip(self.containers, plan.containers, strict=True):
            container.redefine(changed, now)
        if plan.deletion is not None:
            self._end(Cause.DELETED, plan.deletion.grace_s, now)

    def _end(self, cause: Cause, grace_s: float, now: Moment) -> None:
        self._frame.end(cause, grace_s, now)
        for each in self.containers:
            each.stop(now)

    def _give_turns(self) -> None:
        """Begin containers in spec order, each when the one before has had its first attempt."""
        if self._frame.ending is not None:
            return
        for each in self.containers:
            if each.phase is Phase.PENDING:
                each.begin()
            if not each.tried:
                return

    def record(self, started_at: datetime, life: int) -> PodRecord:
        """Return what must survive."""
        return PodRecord(
            uid=self.plan.uid,
            namespace=self.plan.namespace,
            name=self.plan.name,
            started_at=started_at,
            start_count=life,
            containers=tuple(each.record() for each in self.containers),
        )
