"""What fails in a pod's turn costs the pod that alone, and is told."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from podclock import plan_of

from contract.ids import ContainerName, NodeName
from contract.messages.form import STATIC_TERM, Event, Incarnation
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Occurrence, PodHappened
from wasm_executor.domain.effects import Effect, PrepareImage, SignalRun, StartRun
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.inputs import Confirmed, Halted, ImagePrepared, Input, RunStarted
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.ordering import Rank
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.states import Phase
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.pods.hands import Hands
from wasm_executor.supervisor.pods.plans import StoredPlan
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.starting import RunStart
from wasm_executor.supervisor.reporting import Reporter

A, FAILING = ContainerName("a"), ContainerName("failing")


class Told:
    """Everything that was published."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.some = asyncio.Event()

    async def publish(self, _node: NodeName, event: Event) -> None:
        if isinstance(event, PodHappened):
            faults = [each for each in event.occurrences if each.reason == "FailedSync"]
            self.messages += [each.message for each in faults]
        if self.messages:
            self.some.set()


@asynccontextmanager
async def running(
    pod: Pod, plan: PodPlan, *, keep: Callable[[object], None] = lambda _record: None
) -> AsyncIterator[tuple[PodTask, Told]]:
    """Run a pod's task beside nothing but its voice."""
    told = Told()
    reporter = Reporter(NodeName("n"), Incarnation(executor_id="e", start_count=1), 1)
    reporter.speak(told)
    node: Any = SimpleNamespace(
        settings=SimpleNamespace(slow_start_s=0.05, slow_spawn_s=0.05),
        checkpoint=SimpleNamespace(keep=keep),
        life=1,
        reporter=reporter,
    )
    stored = StoredPlan(rank=Rank(term=STATIC_TERM, revision=1), digest="d", plan=plan)
    execs: Any = None
    task = PodTask(node, execs, stored, pod, datetime.now(UTC), ())
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        being = tasks.create_task(task.run(), name="pod")
        yield task, told
        being.cancel()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Effect]:
    """Let effects be written down instead of done; one container's image cannot even be begun."""
    effects: list[Effect] = []

    async def do(_hands: Hands, effect: Effect) -> None:
        effects.append(effect)
        if isinstance(effect, PrepareImage) and effect.container == FAILING:
            raise OSError("no room for that")

    def begin(hands: Hands, *_args: object) -> None:
        hands.drop_all = lambda: None  # type: ignore[method-assign]  # it holds nothing

    monkeypatch.setattr(Hands, "__init__", begin)
    monkeypatch.setattr(Hands, "do", do)
    return effects


def images(effects: list[Effect]) -> list[ContainerName]:
    return [each.container for each in effects if isinstance(each, PrepareImage)]


def signals(effects: list[Effect]) -> list[int]:
    return [each.signum for each in effects if isinstance(each, SignalRun)]


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def test_an_effect_that_fails_leaves_the_others_of_its_turn(done: list[Effect]) -> None:
    plan = plan_of(RestartPolicy.ALWAYS, A, FAILING)
    pod = Pod.new(plan, Rules(), now())
    pod.containers[1].begin()  # as if its turn had come, too
    async with running(pod, plan) as (_, told):
        await told.some.wait()
    assert images(done) == [FAILING, A]
    assert told.messages == ["error determining status: OSError('no room for that')"]


async def test_a_record_that_cannot_be_kept_leaves_the_effects_of_its_turn(
    done: list[Effect],
) -> None:
    def keep(_record: object) -> None:
        raise OSError("no room")

    plan = plan_of(RestartPolicy.ALWAYS, A)
    async with running(Pod.new(plan, Rules(), now()), plan, keep=keep) as (_, told):
        await told.some.wait()
    assert images(done) == [A]


async def test_an_input_that_fails_leaves_what_the_one_before_it_asked_for(
    done: list[Effect],
) -> None:
    plan = plan_of(RestartPolicy.ALWAYS, A)
    pod = Pod.new(plan, Rules(), now())
    handle = pod.handle

    def handle_or_fail(news: Input, now: Moment) -> list[Effect]:
        if isinstance(news, Confirmed):
            raise KeyError("defect")
        return handle(news, now)

    pod.handle = handle_or_fail  # type: ignore[method-assign]  # a defect of ours
    async with running(pod, plan) as (task, told):
        await until(lambda: bool(images(done)))
        task.put(ImagePrepared(container=A, attempt=1, image_id="x"))
        task.put(Confirmed())
        await told.some.wait()
    started = [each.container for each in done if isinstance(each, StartRun)]
    assert started == [A]


async def test_a_pod_that_nobody_is_to_hear_of_sleeps_until_its_grace_is_over(
    done: list[Effect],
) -> None:
    """Of a halted pod nothing is said: what waits to be told of it, or comes then, wakes nobody."""
    plan = plan_of(RestartPolicy.ALWAYS, A)
    pod = Pod.new(plan, Rules(), now())
    handle, turns = pod.handle, list[Input]()

    def counted(news: Input, now: Moment) -> list[Effect]:
        turns.append(news)
        return handle(news, now)

    pod.handle = counted  # type: ignore[method-assign]  # counted, and done
    async with running(pod, plan) as (task, _):
        await until(lambda: bool(images(done)))
        task.put(ImagePrepared(container=A, attempt=1, image_id="x"))
        await until(lambda: any(isinstance(each, StartRun) for each in done))
        task.put(RunStarted(container=A, run=0, pid=1, at=datetime.now(UTC)))
        await until(lambda: pod.containers[0].phase is Phase.RUNNING)
        occurrence = Occurrence(reason="Pulled", message="m", at=datetime.now(UTC))
        task._tell_from_work(occurrence)
        turns.clear()
        task.put(Halted(grace_s=2))
        await until(lambda: pod.quiet)
        task._tell_from_work(occurrence)
        await until(lambda: signal.SIGKILL in signals(done))
    assert len(turns) < 10


async def test_old_logs_that_cannot_be_dropped_leave_a_start_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit of processes there is no thread for them, and the run is there already."""

    def drop(*_args: object, **_kept: object) -> None:
        raise RuntimeError("can't start new thread")

    async def outcome(_start: RunStart) -> Input:
        return RunStarted(container=A, run=2, pid=1, at=datetime.now(UTC))

    monkeypatch.setattr("wasm_executor.supervisor.pods.hands.drop_runs_before", drop)
    monkeypatch.setattr(RunStart, "outcome", outcome)
    plan = plan_of(RestartPolicy.ALWAYS, A)
    told: asyncio.Queue[Input] = asyncio.Queue()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        node: Any = SimpleNamespace(
            tasks=tasks,
            settings=SimpleNamespace(log_root=tmp_path, log_max_bytes=1, log_max_files=1),
            log_readers=SimpleNamespace(of=lambda *_whose: ()),
        )
        ignored: Any = None
        hands = Hands(node, ignored, Pod.new(plan, Rules(), now()), told.put_nowait, ignored)
        hands._images[A] = ignored
        await hands.do(StartRun(container=A, attempt=1, run=2))
        assert isinstance(await told.get(), RunStarted)
