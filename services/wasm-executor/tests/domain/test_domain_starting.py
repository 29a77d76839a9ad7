"""What may happen while a container's process is on its way to its guest."""

import msgspec
import pytest
from podclock import C, Clock, Driver, plan_of

from contract.messages.pod import Deletion, RestartPolicy
from contract.messages.report import Running, Terminated
from wasm_executor.domain.effects import AbandonStart, ForgetRun, PrepareImage, SignalRun
from wasm_executor.domain.inputs import Forgotten, Halted, Input, MemoryExceeded, PlanArrived

KILL = SignalRun(container=C, run=0, signum=9)


def starting(clock: Clock, policy: RestartPolicy = RestartPolicy.ALWAYS) -> Driver:
    driver = Driver(clock, plan_of(policy))
    driver.tell()
    driver.prepared()
    return driver


def other_image(driver: Driver) -> PlanArrived:
    plan = driver.pod.plan
    other = msgspec.structs.replace(plan.containers[0], image="other")
    return PlanArrived(plan=msgspec.structs.replace(plan, containers=(other,)))


def deletion(driver: Driver) -> PlanArrived:
    gone = Deletion(requested_at=driver.clock.now.wall, grace_s=30)
    return PlanArrived(plan=msgspec.structs.replace(driver.pod.plan, deletion=gone))


@pytest.mark.parametrize("cause", [Deletion, Forgotten, Halted])
def test_a_pod_that_ends_gives_up_its_start(clock: Clock, cause: type) -> None:
    driver = starting(clock)
    causes: dict[type, Input] = {
        Deletion: deletion(driver),
        Forgotten: Forgotten(grace_s=0),
        Halted: Halted(),
    }
    assert driver.tell(causes[cause]) == [AbandonStart(container=C)]


def test_a_start_that_was_given_up_and_died_is_the_pods_end(clock: Clock) -> None:
    driver = starting(clock)
    driver.tell(deletion(driver))
    driver.ended(137, signal=9)
    driver.started()
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.exit_code == 137
    assert driver.pod.stopped


def test_a_guest_over_its_limit_before_its_start_is_told_is_oom_killed(clock: Clock) -> None:
    driver = starting(clock, RestartPolicy.NEVER)
    assert driver.tell(MemoryExceeded(container=C, run=0)) == [KILL]
    driver.started()
    driver.ended(137, signal=9)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "OOMKilled")


def test_a_run_that_ended_before_its_start_failed_is_none_of_the_next_one(clock: Clock) -> None:
    driver = starting(clock)
    driver.ended(1)
    assert ForgetRun(container=C, run=0) in driver.unprepared("CreateContainerError", "defect")
    driver.wait(10)
    driver.prepared()
    driver.started()
    assert isinstance(driver.shown().state, Running)


@pytest.mark.parametrize("news", ["refused", "unprepared"])
def test_another_image_during_a_start_that_fails_is_not_replaced_itself(
    clock: Clock, news: str
) -> None:
    driver = starting(clock)
    wanted = list(driver.effects)
    driver.tell(other_image(driver))
    driver.effects = wanted
    if news == "refused":
        driver.refused("no _start")
    else:
        driver.unprepared("CreateContainerError", "no process")
    effects = driver.wait(2.1) or driver.wait(10)
    assert [each.image for each in effects if isinstance(each, PrepareImage)] == ["other"]
    driver.prepared()
    assert driver.started() == []
    assert isinstance(driver.shown().state, Running)


def test_memory_exceeded_in_a_start_that_failed_says_nothing_of_the_next(clock: Clock) -> None:
    driver = starting(clock, RestartPolicy.NEVER)
    wanted = list(driver.effects)
    driver.tell(MemoryExceeded(container=C, run=0))
    driver.effects = wanted
    driver.unprepared("CreateContainerError", "no process")
    driver.wait(10.1)
    driver.run()
    driver.ended(137, signal=9)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.reason == "Error"
