"""What follows the end of a run: restart policies, back-off, memory, start errors."""

import pytest
from podclock import C, Clock, Driver, plan_of

from contract.messages.pod import RestartPolicy
from contract.messages.report import Running, Terminated, Waiting
from wasm_executor.domain.effects import ForgetRun, PrepareImage, SignalRun
from wasm_executor.domain.inputs import MemoryExceeded, RunEnded

CRASHED = "back-off 10s restarting failed container=c pod=pod_ns(u-1)"


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        (RestartPolicy.ALWAYS, 0, True),
        (RestartPolicy.ALWAYS, 3, True),
        (RestartPolicy.ON_FAILURE, 0, False),
        (RestartPolicy.ON_FAILURE, 3, True),
        (RestartPolicy.NEVER, 0, False),
        (RestartPolicy.NEVER, 3, False),
    ],
)
def test_the_restart_policy_decides(
    clock: Clock, policy: RestartPolicy, code: int, *, again: bool
) -> None:
    driver = Driver(clock, plan_of(policy))
    driver.begin()
    effects = driver.ended(code)
    assert any(isinstance(each, PrepareImage) for each in effects) is again
    assert driver.pod.stopped is not again


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error"), (143, "Error")])
def test_an_exit_code_has_its_reason(clock: Clock, code: int, reason: str) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.begin()
    driver.ended(code)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (code, reason)


def test_the_second_crash_backs_off_and_the_first_does_not(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.ON_FAILURE))
    driver.begin()
    driver.ended(1)
    driver.run()
    assert isinstance(driver.shown().state, Running)
    assert driver.shown().restart_count == 1
    driver.ended(1)
    shown = driver.shown()
    assert shown.state == Waiting(reason="CrashLoopBackOff", message=CRASHED)
    assert isinstance(shown.last_state, Terminated)
    assert shown.restart_count == 1
    assert driver.wait(9.9) == []
    assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]
    assert driver.shown().state == Waiting(reason="CrashLoopBackOff", message=CRASHED)
    driver.run()
    assert driver.shown().restart_count == 2
    text = "Back-off restarting failed container c in pod pod_ns(u-1)"
    assert ("BackOff", text) in driver.reasons()


def test_what_restarts_at_once_is_never_shown_as_waiting(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.ended(0)
    assert isinstance(driver.shown().state, Terminated)
    assert not driver.pod.settled


def test_each_run_has_an_id_of_its_own_and_keeps_it(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    assert driver.shown().container_id == ""
    driver.run()
    first = driver.shown().container_id
    assert first.startswith("wasmtime://")
    assert len(first) == len("wasmtime://") + 32
    driver.ended(1)
    driver.run()
    shown = driver.shown()
    assert shown.container_id != first
    assert shown.last_state is not None
    assert shown.last_state.container_id == first


def test_a_run_over_its_memory_limit_is_killed_once_and_says_so(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.begin()
    assert driver.tell(MemoryExceeded(container=C, run=0)) == [
        SignalRun(container=C, run=0, signum=9)
    ]
    assert driver.tell(MemoryExceeded(container=C, run=0)) == []
    driver.ended(137, signal=9)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "OOMKilled")


def test_a_kill_by_somebody_else_is_no_oom_kill(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.begin()
    driver.ended(137, signal=9)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.reason == "Error"


def test_a_start_error_waits_as_run_container_error_and_then_backs_off(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    driver.refused("no _start")
    shown = driver.shown()
    assert shown.state == Waiting(reason="RunContainerError", message="no _start")
    assert isinstance(shown.last_state, Terminated)
    assert (shown.last_state.exit_code, shown.last_state.reason) == (128, "StartError")
    assert ("Failed", "Error: no _start") in driver.reasons()
    assert [type(each) for each in driver.wait(2.1)] == [PrepareImage]
    driver.prepared()
    driver.refused("no _start")
    driver.wait(2.1)
    assert driver.shown().state == Waiting(reason="CrashLoopBackOff", message=CRASHED)


def test_a_start_error_ends_a_pod_that_never_restarts(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.tell()
    driver.prepared()
    driver.refused("no _start")
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason, state.message) == (128, "StartError", "no _start")
    assert driver.pod.stopped


def test_an_end_that_overtakes_its_start_counts_once(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.tell()
    driver.prepared()
    driver.ended(3)
    assert isinstance(driver.shown().state, Waiting)
    assert driver.started() == [ForgetRun(container=C, run=0)]
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.exit_code == 3


def test_an_end_that_is_told_twice_counts_once(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.ended(1)
    driver.run()
    again = driver.ended(1)
    assert any(isinstance(each, ForgetRun) for each in again)
    shown = driver.shown()
    stale = driver.tell(_end_of_run_0(clock))
    assert stale == [ForgetRun(container=C, run=0, again=True)]
    assert driver.shown() == shown


def _end_of_run_0(clock: Clock) -> RunEnded:
    wall = clock.now.wall
    return RunEnded(container=C, run=0, exit_code=1, at=wall, started_at=wall)


def test_the_end_of_an_older_run_does_not_end_the_running_one(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.ended(1)
    driver.run()
    forget = ForgetRun(container=C, run=0, again=True)
    assert driver.tell(_end_of_run_0(clock)) == [forget], "no check of the running one ends"
    assert isinstance(driver.shown().state, Running)


def test_an_end_that_is_told_late_waits_only_for_the_rest(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.ended(1)
    driver.run()
    ended_at = clock.now.wall
    clock.turn(6)
    driver.tell(RunEnded(container=C, run=1, exit_code=1, at=ended_at, started_at=ended_at))
    assert driver.wait(3.9) == []
    assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]


def test_an_oom_kill_is_of_its_run_only(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.begin()
    driver.tell(MemoryExceeded(container=C, run=0))
    driver.ended(137)
    driver.run()
    driver.ended(137)
    end = driver.shown().last_state
    assert isinstance(end, Terminated)
    assert end.reason == "Error"
