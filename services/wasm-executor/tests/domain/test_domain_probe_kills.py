"""What a failed liveness or startup probe makes of its container, with the clock passed in."""

import msgspec
import pytest
from podclock import (
    C,
    Clock,
    Driver,
    alive,
    container_of,
    next_driver,
    pod_of,
    record,
    sidecar_of,
)
from probed_life import (
    FAILED,
    LIVENESS,
    PROBE,
    STARTUP,
    begun,
    first,
)

from contract.messages.pod import RestartPolicy, RestartRule
from contract.messages.report import Running, Waiting
from wasm_executor.domain.effects import PrepareImage, SignalRun
from wasm_executor.domain.states import Phase

TERM = SignalRun(container=C, run=0, signum=15)


@pytest.mark.parametrize(
    ("policy", "again"),
    [(RestartPolicy.ALWAYS, True), (RestartPolicy.ON_FAILURE, True), (RestartPolicy.NEVER, False)],
)
def test_a_container_that_fails_its_liveness_probe_is_ended_and_restarted_by_policy(
    clock: Clock, policy: RestartPolicy, *, again: bool
) -> None:
    driver = begun(clock, policy, liveness=PROBE)
    first(driver)
    for _ in range(2):
        driver.probed(LIVENESS, FAILED, output="no answer")
        driver.wait(10)
    assert driver.probed(LIVENESS, FAILED, output="no answer") == [TERM]
    assert ("Unhealthy", "Liveness probe failed: no answer") in driver.reasons()
    said = "Container c failed liveness probe"
    assert ("Killing", f"{said}, will be restarted" if again else said) in driver.reasons()
    driver.ended(0)  # the exit code of a guest that drains says nothing
    assert any(isinstance(each, PrepareImage) for each in driver.effects) is again
    assert driver.pod.stopped is not again


def killed_after(driver: Driver, ran_s: float) -> float:
    """Let a probe end a run; return how long the next one waits, and begin that."""
    driver.clock.turn(ran_s)
    driver.tell()
    driver.probed(LIVENESS, FAILED)
    driver.ended(143)
    waits_s = 0.0
    if driver.phases()[C] is Phase.CRASH_BACK_OFF:
        due = driver.pod.next_wake()
        assert due is not None
        waits_s = due - driver.clock.mono
        driver.wait(waits_s)
    driver.run()
    return waits_s


@pytest.mark.parametrize("lives", ["one", "a new one each time"])
@pytest.mark.parametrize(
    ("ran_s", "waits"),
    [(30.0, [0, 0, 0, 0, 40, 80, 160, 300, 0, 300]), (1.0, [0, 0, 10, 20, 40, 80])],
)
def test_a_kill_by_a_probe_waits_only_where_the_run_before_it_ended_not_long_ago(
    clock: Clock, ran_s: float, waits: list[float], lives: str
) -> None:
    """The kubelet starts the next run in the step that kills, and looks at the end before.

    That end is as long ago as the run was, and the wait before it: at most five minutes, and more
    than five once they have been waited.
    """
    driver = begun(clock, liveness=msgspec.structs.replace(PROBE, failure_threshold=1))
    waited = []
    for run in range(1, len(waits) + 1):
        waited.append(killed_after(driver, ran_s))
        if lives != "one":  # of supervisors
            driver = next_driver(clock, driver.pod.plan, record(driver), alive(clock, run))
    assert waited == pytest.approx(waits)


def test_a_crash_after_a_kill_by_a_probe_is_the_first_one(clock: Clock) -> None:
    driver = begun(clock, liveness=msgspec.structs.replace(PROBE, failure_threshold=1))
    assert killed_after(driver, 1) == 0
    driver.ended(1)
    driver.run()
    assert isinstance(driver.shown().state, Running)
    driver.ended(1)
    state = driver.shown().state
    assert isinstance(state, Waiting)
    assert state.message.startswith("back-off 10s restarting failed container")


@pytest.mark.parametrize(("code", "again"), [(143, True), (0, False)])
def test_a_container_that_never_restarts_is_asked_for_its_rules_when_a_probe_has_ended_it(
    clock: Clock, code: int, *, again: bool
) -> None:
    never, rule = RestartPolicy.NEVER, RestartRule(exit_codes=(0,), negated=True)
    probe = msgspec.structs.replace(PROBE, failure_threshold=1)
    ruled = container_of(C, liveness=probe, restart_policy=never, restart_rules=(rule,))
    driver = Driver(clock, pod_of(ruled, policy=never))
    driver.begin()
    first(driver)
    driver.probed(LIVENESS, FAILED)
    assert ("Killing", "Container c failed liveness probe") in driver.reasons()
    driver.ended(code)
    assert any(isinstance(each, PrepareImage) for each in driver.effects) is again


def test_a_probe_s_own_grace_is_what_its_kill_gives(clock: Clock) -> None:
    probe = msgspec.structs.replace(PROBE, failure_threshold=1, termination_grace_s=7.0)
    driver = begun(clock, liveness=probe)
    first(driver)
    driver.probed(LIVENESS, FAILED)
    assert driver.wait(6.9) == []
    assert driver.wait(0.2) == [SignalRun(container=C, run=0, signum=9)]


def test_a_container_that_never_starts_is_ended_after_its_threshold(clock: Clock) -> None:
    driver = begun(clock, startup=PROBE)
    first(driver)
    for _ in range(2):
        driver.probed(STARTUP, FAILED)
        driver.wait(10)
    assert driver.probed(STARTUP, FAILED) == [TERM]
    assert ("Killing", "Container c failed startup probe, will be restarted") in driver.reasons()


def test_a_sidecar_condemned_is_told_as_the_kubelet_tells_it(clock: Clock) -> None:
    probe = msgspec.structs.replace(PROBE, failure_threshold=1)
    driver = Driver(clock, pod_of(sidecar_of("proxy", startup=probe), container_of(C)))
    driver.tell()
    driver.run("proxy")
    first(driver)
    driver.probed(STARTUP, FAILED, "proxy")
    assert ("Killing", "Init container proxy failed startup probe") in driver.reasons()
