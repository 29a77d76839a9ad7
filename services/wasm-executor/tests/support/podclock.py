"""Drives a pod of the domain by hand: inputs in, effects out, a clock that the test turns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.pod import (
    ContainerPlan,
    ContainerRole,
    Deletion,
    PodPlan,
    RestartPolicy,
)
from contract.messages.report import ContainerReport, Occurrence
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict
from wasm_executor.domain.container import Container
from wasm_executor.domain.effects import Effect, Happened, PrepareImage, StartRun
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.inputs import (
    HookFinished,
    ImagePrepared,
    Input,
    PlanArrived,
    PreparationFailed,
    ProbeFinished,
    RunEnded,
    RunRefused,
    RunStarted,
    Woken,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.restoring import Present, restore
from wasm_executor.domain.states import Phase

C = ContainerName("c")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = 1


class Clock:
    """Both clocks, turned together, and the wall clock as somebody sets it."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.set_by_s = 0.0

    @property
    def now(self) -> Moment:
        return Moment(EPOCH + timedelta(seconds=self.mono - 1000 + self.set_by_s), self.mono)

    def turn(self, seconds: float) -> None:
        self.mono += seconds


def plan_of(policy: RestartPolicy = RestartPolicy.ALWAYS, *names: str, **more: Any) -> PodPlan:
    return PodPlan(
        uid=PodUid("u-1"),
        namespace="ns",
        name="pod",
        restart_policy=policy,
        containers=tuple(
            ContainerPlan(name=ContainerName(name), image=f"image-{name}") for name in names or (C,)
        ),
        **more,
    )


def container_of(name: str, **more: Any) -> ContainerPlan:
    return ContainerPlan(name=ContainerName(name), image=f"image-{name}", **more)


def init_of(name: str, **more: Any) -> ContainerPlan:
    return container_of(name, role=ContainerRole.INIT, **more)


def sidecar_of(name: str, **more: Any) -> ContainerPlan:
    role, policy = ContainerRole.SIDECAR, RestartPolicy.ALWAYS
    return container_of(name, role=role, restart_policy=policy, **more)


def pod_of(*containers: ContainerPlan, **more: Any) -> PodPlan:
    return msgspec.structs.replace(plan_of(**more), containers=containers)


class Driver:
    """One pod under test."""

    def __init__(self, clock: Clock, plan: PodPlan, pod: Pod | None = None) -> None:
        self.clock = clock
        self.pod = Pod.new(plan, Rules(), clock.now) if pod is None else pod
        self.effects: list[Effect] = []
        self.wanted: list[Effect] = []
        self.occurrences: list[Occurrence] = []

    def tell(self, news: Input | None = None) -> list[Effect]:
        """Hand over an input; return its effects, occurrences apart."""
        effects = self.pod.handle(news or Woken(), self.clock.now)
        self.occurrences += [each.occurrence for each in effects if isinstance(each, Happened)]
        self.effects = [each for each in effects if not isinstance(each, Happened)]
        self.wanted += self.effects
        return self.effects

    def wait(self, seconds: float) -> list[Effect]:
        self.clock.turn(seconds)
        return self.tell()

    def prepared(self, name: str = C) -> list[Effect]:
        return self.tell(
            ImagePrepared(container=ContainerName(name), attempt=self._attempt(name), image_id="id")
        )

    def unprepared(self, reason: str, message: str, after: str | None = None) -> list[Effect]:
        return self.tell(
            PreparationFailed(
                container=C,
                attempt=self._attempt(C),
                reason=reason,
                message=message,
                back_off_message=after,
            )
        )

    def _attempt(self, name: str) -> int:
        wants = [
            each
            for each in self.wanted
            if isinstance(each, PrepareImage | StartRun) and each.container == name
        ]
        return wants[-1].attempt

    def started(self, name: str = C) -> list[Effect]:
        container = ContainerName(name)
        run = self._container(name).history.run
        return self.tell(RunStarted(container=container, run=run, pid=77, at=self.clock.now.wall))

    def refused(self, message: str) -> list[Effect]:
        run = self._container(C).history.run
        return self.tell(RunRefused(container=C, run=run, message=message))

    def ended(self, code: int, name: str = C, **more: Any) -> list[Effect]:
        history = self._container(name).history
        return self.tell(
            RunEnded(
                container=ContainerName(name),
                run=history.run,
                exit_code=code,
                at=self.clock.now.wall,
                started_at=history.started_at or self.clock.now.wall,
                **more,
            )
        )

    def run(self, name: str = C) -> list[Effect]:
        """Bring the container up from where its image is wanted."""
        self.prepared(name)
        return self.started(name)

    def probed(self, kind: ProbeKind, verdict: Verdict, name: str = C, **more: Any) -> list[Effect]:
        run = self._container(name).history.run
        return self.tell(
            ProbeFinished(
                container=ContainerName(name), run=run, kind=kind, verdict=verdict, **more
            )
        )

    def hooked(self, kind: HookKind, name: str = C, failure: str | None = None) -> list[Effect]:
        run = self._container(name).history.run
        return self.tell(
            HookFinished(container=ContainerName(name), run=run, kind=kind, failure=failure)
        )

    def delete(self, grace_s: float) -> list[Effect]:
        gone = Deletion(requested_at=self.clock.now.wall, grace_s=grace_s)
        return self.tell(PlanArrived(plan=msgspec.structs.replace(self.pod.plan, deletion=gone)))

    def is_restarting_all(self) -> bool:
        return self.pod.restarting_all

    def phases(self) -> dict[str, Phase]:
        return {each.plan.name: each.phase for each in self.pod.containers}

    def begin(self) -> None:
        self.tell()
        self.run()

    def _container(self, name: str) -> Container:
        return next(each for each in self.pod.containers if each.plan.name == name)

    def shown(self, name: str = C) -> ContainerReport:
        return next(each for each in self.pod.reports() if each.name == name)

    def reasons(self) -> list[tuple[str, str]]:
        return [(each.reason, each.message) for each in self.occurrences]


def next_driver(
    clock: Clock,
    plan: PodPlan,
    record: PodRecord,
    *present: Present,
    same_life: bool = True,
) -> Driver:
    """Restore and let the news arrive, as the next supervisor does."""
    restored = restore(plan, record, present, same_life=same_life, now=clock.now, rules=Rules())
    driver = Driver(clock, plan, restored.pod)
    effects = []
    for news in restored.news or (None,):
        effects += driver.tell(news)
    driver.effects = effects
    return driver


def record(driver: Driver) -> PodRecord:
    return driver.pod.record(driver.clock.now.wall, LIFE)


def alive(clock: Clock, run: int = 0) -> Present:
    return Present(container=C, run=run, pid=77, started_at=clock.now.wall)


def dead(clock: Clock, code: int, run: int = 0) -> Present:
    wall = clock.now.wall
    end = RunEnded(container=C, run=run, exit_code=code, at=wall, started_at=wall)
    return Present(container=C, run=run, pid=77, started_at=wall, end=end)
