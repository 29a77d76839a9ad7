"""A wall clock that steps by an hour: no back-off, probe, deadline or grace is another for it.

While a keeper lives, not even where a supervisor takes over from the one before. Only the wall
clock outlives a keeper; there a step costs one delay at most.
"""

from collections.abc import Callable

import msgspec
import pytest
from podclock import C, Clock, Driver, container_of, next_driver, plan_of, pod_of, record

from contract.messages.health import Probe, TcpSocket
from contract.messages.report import Waiting
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.effects import Effect, PrepareImage, RunProbe, SignalRun
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.restoring import Present
from wasm_executor.domain.unplanned import ended_without_plan

HOUR = 3600.0
PROBE = Probe(action=TcpSocket(port=80), period_s=10.0, initial_delay_s=30.0)
LIVENESS, FAILED = ProbeKind.LIVENESS, Verdict.FAILURE
TERM = SignalRun(container=C, run=0, signum=15)

type Go = Callable[[Driver], Driver]


def keep(driver: Driver) -> Driver:
    """The supervisor lives on."""
    return driver


def succeed(driver: Driver) -> Driver:
    """The next supervisor of the same keeper takes over."""
    clock, pod = driver.clock, driver.pod
    running = [
        Present(
            container=each.plan.name,
            run=each.history.run,
            pid=each.pid,
            started_at=each.history.started_at,
        )
        for each in pod.containers
        if each.pid is not None and each.history.started_at is not None
    ]
    return next_driver(clock, pod.plan, record(driver), *running)


pytestmark = [
    pytest.mark.parametrize("step_s", [HOUR, -HOUR], ids=["ahead", "back"]),
]
both = pytest.mark.parametrize("go_on", [keep, succeed])


def crash(driver: Driver, after_s: float = 0.0) -> list[Effect]:
    """Run for a while and crash, as a keeper tells it."""
    driver.clock.turn(after_s)
    now, run = driver.clock.now, driver.pod.containers[0].history.run
    return driver.tell(
        RunEnded(
            container=C, run=run, exit_code=1, at=now.wall, at_mono=now.mono, started_at=now.wall
        )
    )


def crashed_twice(clock: Clock) -> Driver:
    """In the back-off of ten seconds that follows on the second crash."""
    driver = Driver(clock, plan_of())
    driver.begin()
    crash(driver)
    driver.run()
    crash(driver)
    return driver


def prepares(effects: list[Effect]) -> bool:
    return any(isinstance(each, PrepareImage) for each in effects)


@both
def test_a_back_off_takes_as_long_as_it_takes(clock: Clock, step_s: float, go_on: Go) -> None:
    driver = crashed_twice(clock)
    clock.turn(4)
    clock.set_by_s += step_s
    driver = go_on(driver)
    state = driver.shown().state
    assert isinstance(state, Waiting)
    assert "back-off 10s" in state.message
    assert not prepares(driver.wait(5.9))
    assert prepares(driver.wait(0.2))


@both
def test_the_next_back_off_is_the_doubled_one(clock: Clock, step_s: float, go_on: Go) -> None:
    """It is neither forgotten, as after ten good minutes, nor kept for ever."""
    driver = crashed_twice(clock)
    driver.wait(10.1)
    driver.run()
    clock.set_by_s += step_s
    driver = go_on(driver)
    crash(driver, after_s=5)
    assert not prepares(driver.wait(19.9))
    assert prepares(driver.wait(0.2))
    driver.run()
    clock.set_by_s -= step_s
    driver = go_on(driver)
    assert prepares(crash(driver, after_s=601)), "a run of ten minutes starts over"


def test_an_end_that_waited_for_its_supervisor_waits_no_longer(clock: Clock, step_s: float) -> None:
    """The clock steps between the end, which the keeper saw, and the supervisor who hears of it."""
    driver = crashed_twice(clock)
    driver.wait(10.1)
    driver.run()
    ended = clock.now
    clock.turn(5)
    clock.set_by_s += step_s
    driver.tell(
        RunEnded(
            container=C,
            run=2,
            exit_code=1,
            at=ended.wall,
            at_mono=ended.mono,
            started_at=ended.wall,
        )
    )
    assert not prepares(driver.wait(14.9))
    assert prepares(driver.wait(0.2))


def test_a_back_off_that_began_without_a_plan_goes_on(clock: Clock, step_s: float) -> None:
    driver = crashed_twice(clock)
    driver.wait(10.1)
    driver.run()
    kept, ended = record(driver), clock.now
    clock.set_by_s += step_s
    end = RunEnded(
        container=C,
        run=2,
        exit_code=1,
        at=clock.now.wall,
        at_mono=ended.mono,
        started_at=ended.wall,
    )
    run = Present(container=C, run=2, pid=77, started_at=ended.wall, end=end)
    kept = ended_without_plan(kept, run, driver.pod.containers[0].frame.rules)
    clock.turn(5)
    driver = next_driver(clock, driver.pod.plan, kept)
    assert not prepares(driver.wait(14.9))
    assert prepares(driver.wait(0.2))


@pytest.mark.parametrize("same_life", [True, False])
def test_where_the_wall_clock_alone_is_left_a_step_costs_one_delay_at_most(
    clock: Clock,
    step_s: float,
    *,
    same_life: bool,
) -> None:
    driver = crashed_twice(clock)
    clock.turn(4)
    clock.set_by_s += step_s
    kept = record(driver)
    if same_life:
        driver = next_driver(clock, driver.pod.plan, kept)
    else:
        clock.mono = 10.0  # the machine was started anew
        clock.set_by_s += 994.0
        driver = next_driver(clock, driver.pod.plan, kept, same_life=False)
    waited = 0.0
    effects = driver.effects
    while not prepares(effects):
        effects = driver.wait(0.5)
        waited += 0.5
        assert waited <= 10.0
    driver.run()
    # However the clock was set, it starts over after ten good minutes, and one delay more.
    crash(driver, after_s=601 + 20)
    assert prepares(driver.effects)


def liveness(clock: Clock) -> Driver:
    driver = Driver(clock, pod_of(container_of(C, liveness=PROBE)))
    driver.begin()
    return driver


def asked(effects: list[Effect]) -> int:
    return sum(isinstance(each, RunProbe) for each in effects)


@both
def test_the_first_probe_comes_after_its_delay(clock: Clock, step_s: float, go_on: Go) -> None:
    driver = liveness(clock)
    clock.turn(20)
    clock.set_by_s += step_s
    driver = go_on(driver)
    assert asked(driver.effects) == 0
    assert asked(driver.wait(9.9)) == 0
    assert asked(driver.wait(0.2)) == 1


def test_no_probe_is_skipped_or_doubled(clock: Clock, step_s: float) -> None:
    driver = liveness(clock)
    driver.wait(30)
    driver.probed(LIVENESS, FAILED)
    times = []
    for turn in range(1, 320):
        if turn == 120:
            clock.set_by_s += step_s
        if turn == 200:
            clock.set_by_s -= step_s
        if asked(driver.wait(0.125)):
            times.append(turn)
            driver.probed(LIVENESS, Verdict.SUCCESS)
    assert times == [80, 160, 240]


@both
def test_a_deadline_is_where_it_was(clock: Clock, step_s: float, go_on: Go) -> None:
    plan = msgspec.structs.replace(plan_of(), active_deadline_s=60)
    driver = Driver(clock, plan)
    driver.begin()
    clock.turn(40)
    clock.set_by_s += step_s
    driver = go_on(driver)
    assert TERM not in driver.wait(19.9)
    assert TERM in driver.wait(0.2)


def test_a_grace_is_as_long_as_it_was(clock: Clock, step_s: float) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.delete(30)
    clock.turn(10)
    clock.set_by_s += step_s
    kill = SignalRun(container=C, run=0, signum=9)
    assert kill not in driver.wait(19.9)
    assert kill in driver.wait(0.2)


def test_a_grace_that_is_taken_over_is_never_longer_than_it_was(
    clock: Clock, step_s: float
) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.delete(30)
    clock.turn(10)
    clock.set_by_s += step_s
    driver = succeed(driver)
    assert SignalRun(container=C, run=0, signum=9) in driver.wait(30.1)


@both
def test_an_image_is_tried_again_when_it_is_due(clock: Clock, step_s: float, go_on: Go) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.unprepared("ErrImagePull", "no such thing", "Back-off pulling image")
    clock.turn(4)
    clock.set_by_s += step_s
    if go_on is succeed:
        assert prepares(go_on(driver).effects), "another supervisor tries at once"
        return
    driver.tell()
    assert not prepares(driver.wait(5.9))
    assert prepares(driver.wait(0.2))
