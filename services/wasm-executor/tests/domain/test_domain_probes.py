"""Probes: when they are asked, what their answers add up to, and what follows."""

import msgspec
import pytest
from podclock import C, Clock, Driver, alive, container_of, next_driver, pod_of, record
from probed_life import (
    FAILED,
    LIVENESS,
    OK,
    PROBE,
    READINESS,
    STARTUP,
    UNKNOWN,
    asked,
    begun,
    first,
)

from contract.messages.pod import ContainerPlan
from wasm_executor.domain.effects import RunProbe, SignalRun
from wasm_executor.domain.inputs import ProbeFinished

TERM = SignalRun(container=C, run=0, signum=15)


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
