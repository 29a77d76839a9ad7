"""Probes: when they are asked, what their answers add up to, and what follows."""

import msgspec
import pytest
from podclock import C, Clock, Driver, alive, container_of, next_driver, pod_of, record, sidecar_of

from contract.messages.health import Probe, TcpSocket
from contract.messages.pod import ContainerPlan, RestartPolicy, RestartRule
from contract.messages.report import Running, Waiting
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.effects import PrepareImage, RunProbe, SignalRun
from wasm_executor.domain.health import FIRST_PROBE_AFTER_S
from wasm_executor.domain.inputs import ProbeFinished
from wasm_executor.domain.states import Phase

PROBE = Probe(action=TcpSocket(port=80), period_s=10.0)
STARTUP, READINESS, LIVENESS = ProbeKind.STARTUP, ProbeKind.READINESS, ProbeKind.LIVENESS
OK, FAILED, UNKNOWN = Verdict.SUCCESS, Verdict.FAILURE, Verdict.UNKNOWN
TERM = SignalRun(container=C, run=0, signum=15)


def begun(
    clock: Clock, policy: RestartPolicy = RestartPolicy.ALWAYS, **probes: Probe | None
) -> Driver:
    driver = Driver(clock, pod_of(container_of(C, **probes), policy=policy))
    driver.begin()
    return driver


def asked(driver: Driver) -> list[ProbeKind]:
    return [each.kind for each in driver.effects if isinstance(each, RunProbe)]


def first(driver: Driver) -> list[ProbeKind]:
    driver.wait(FIRST_PROBE_AFTER_S)
    return asked(driver)


def test_a_container_without_probes_is_ready_at_once(clock: Clock) -> None:
    driver = begun(clock)
    assert driver.shown().ready
    assert driver.shown().started


def test_a_container_is_ready_when_its_readiness_probe_says_so_and_as_long_as_it_does(
    clock: Clock,
) -> None:
    driver = begun(clock, readiness=PROBE)
    assert not driver.shown().ready
    assert driver.shown().started
    assert first(driver) == [READINESS]
    driver.probed(READINESS, OK)
    assert driver.shown().ready
    for _ in range(2):
        driver.wait(10)
        driver.probed(READINESS, FAILED)
        assert driver.shown().ready, "the threshold is three"
    driver.wait(10)
    driver.probed(READINESS, FAILED)
    assert not driver.shown().ready
    assert not any(isinstance(each, SignalRun) for each in driver.wanted)
    driver.wait(10)
    driver.probed(READINESS, OK)
    assert driver.shown().ready


def test_successes_have_to_come_in_a_row_too(clock: Clock) -> None:
    driver = begun(clock, readiness=msgspec.structs.replace(PROBE, success_threshold=2))
    first(driver)
    for verdict, ready in ((OK, False), (FAILED, False), (OK, False), (OK, True)):
        driver.probed(READINESS, verdict)
        assert driver.shown().ready is ready
        driver.wait(10)


def test_a_probe_that_goes_wrong_itself_counts_as_nothing(clock: Clock) -> None:
    driver = begun(clock, liveness=PROBE)
    first(driver)
    for verdict in (FAILED, FAILED, UNKNOWN, UNKNOWN):
        assert TERM not in driver.probed(LIVENESS, verdict, output="no exec")
        driver.wait(10)
    errored = "Liveness probe errored and resulted in unknown state: no exec"
    assert ("Unhealthy", errored) in driver.reasons()
    assert TERM in driver.probed(LIVENESS, FAILED)


def test_a_probe_waits_its_delay_and_then_its_period(clock: Clock) -> None:
    driver = begun(clock, readiness=msgspec.structs.replace(PROBE, initial_delay_s=5.0))
    driver.wait(4.9)
    assert asked(driver) == []
    driver.wait(0.1)
    assert asked(driver) == [READINESS]
    clock.turn(2)
    driver.probed(READINESS, FAILED)
    driver.wait(7.9)
    assert asked(driver) == []
    driver.wait(0.1)
    assert asked(driver) == [READINESS], "the period counts from the question"


def test_a_probe_under_way_is_not_asked_again(clock: Clock) -> None:
    driver = begun(clock, readiness=PROBE)
    first(driver)
    driver.wait(25)
    assert asked(driver) == []
    driver.probed(READINESS, FAILED)
    assert asked(driver) == [READINESS], "it is overdue"


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


@pytest.mark.parametrize(
    ("ran_s", "waits"),
    [(30.0, [0, 0, 0, 0, 40, 80, 160, 300, 0, 300]), (1.0, [0, 0, 10, 20, 40, 80])],
)
def test_a_kill_by_a_probe_waits_only_where_the_run_before_it_ended_not_long_ago(
    clock: Clock, ran_s: float, waits: list[float]
) -> None:
    """The kubelet starts the next run in the step that kills, and looks at the end before.

    That end is as long ago as the run was, and the wait before it: at most five minutes, and more
    than five once they have been waited.
    """
    driver = begun(clock, liveness=msgspec.structs.replace(PROBE, failure_threshold=1))
    waited = [killed_after(driver, ran_s) for _ in waits]
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


def test_nothing_else_is_asked_before_the_startup_probe_has_succeeded(clock: Clock) -> None:
    driver = begun(clock, startup=PROBE, readiness=PROBE, liveness=PROBE)
    assert first(driver) == [STARTUP]
    assert not driver.shown().started
    driver.probed(STARTUP, FAILED)
    driver.wait(10)
    assert asked(driver) == [STARTUP]
    driver.probed(STARTUP, OK)
    assert asked(driver) == [READINESS, LIVENESS], "at once"
    assert driver.shown().started
    assert not driver.shown().ready
    driver.probed(READINESS, OK)
    driver.wait(60)
    assert STARTUP not in asked(driver)


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


def test_a_pod_that_ends_is_asked_for_readiness_alone(clock: Clock) -> None:
    driver = begun(clock, readiness=PROBE, liveness=PROBE)
    first(driver)
    driver.probed(READINESS, OK)
    driver.probed(LIVENESS, OK)
    driver.delete(60)
    assert driver.shown().ready
    driver.wait(10)
    assert asked(driver) == [READINESS]
    assert driver.probed(LIVENESS, FAILED) == []


def test_an_answer_to_an_earlier_run_is_nobody_s(clock: Clock) -> None:
    driver = begun(clock, readiness=PROBE)
    first(driver)
    late = next(each for each in driver.effects if isinstance(each, RunProbe))
    driver.ended(1)
    driver.run()
    answer = ProbeFinished(container=late.container, run=late.run, kind=READINESS, verdict=OK)
    driver.tell(answer)
    assert not driver.shown().ready
    driver.probed(READINESS, OK)
    assert driver.shown().ready
    driver.ended(1)
    assert not driver.shown().ready
    assert not driver.shown().started


def test_an_odd_success_is_told(clock: Clock) -> None:
    driver = begun(clock, readiness=PROBE)
    first(driver)
    driver.probed(READINESS, OK, warning="Probe terminated redirects")
    assert driver.shown().ready
    warned = ("ProbeWarning", "Readiness probe warning: Probe terminated redirects")
    assert warned in driver.reasons()


@pytest.mark.parametrize("container", [container_of(C, startup=PROBE, readiness=PROBE)])
def test_a_restarted_supervisor_flips_nothing_and_asks_within_a_period(
    clock: Clock, container: ContainerPlan
) -> None:
    before = Driver(clock, pod_of(container))
    before.begin()
    first(before)
    before.probed(STARTUP, OK)
    before.probed(READINESS, OK)
    clock.turn(60)
    after = next_driver(clock, before.pod.plan, record(before), alive(clock))
    assert after.shown().ready
    assert after.shown().started
    assert asked(after) == []
    after.wait(10)
    assert asked(after) == [READINESS], "it has started: that is not asked again"
    for _ in range(3):
        assert after.shown().ready
        after.probed(READINESS, FAILED)
        after.wait(10)
    assert not after.shown().ready


@pytest.mark.parametrize("in_flight", [True, False], ids=["an answer", "a timer"])
def test_after_a_stall_each_probe_keeps_its_own_moments(clock: Clock, in_flight: bool) -> None:  # noqa: FBT001 - a parameter
    driver = begun(clock, readiness=PROBE)
    first(driver)
    if in_flight:
        clock.turn(34)
        driver.probed(READINESS, OK)
    else:
        driver.probed(READINESS, OK)
        driver.wait(34)
    assert asked(driver) == [READINESS]
    driver.probed(READINESS, OK)
    driver.wait(5.9)
    assert asked(driver) == []
    driver.wait(0.2)
    assert asked(driver) == [READINESS]
