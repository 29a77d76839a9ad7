"""What the executor's own stop ends goes on in its next life, and only that."""

import pytest
from podclock import C, Clock, Driver, container_of, next_driver, plan_of, pod_of, record

from contract.messages.health import Probe, Sleep, TcpSocket
from contract.messages.pod import ContainerRole, Drain, PodPlan, RestartPolicy
from contract.messages.report import Waiting
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.effects import PrepareImage
from wasm_executor.domain.inputs import Halted


def running(clock: Clock, plan: PodPlan) -> Driver:
    driver = Driver(clock, plan)
    driver.begin()
    return driver


@pytest.mark.parametrize("code", [0, 143])
@pytest.mark.parametrize("policy", list(RestartPolicy))
def test_a_halted_pod_runs_again_in_the_next_life_whatever_its_policy(
    clock: Clock, policy: RestartPolicy, code: int
) -> None:
    drain = Drain.STDIN_EOF if code == 0 else Drain.NONE
    driver = running(clock, plan_of(policy, drain=drain))
    driver.tell(Halted())
    driver.ended(code)
    after = next_driver(clock, driver.pod.plan, record(driver), same_life=False)
    assert [type(each) for each in after.effects] == [PrepareImage]
    assert isinstance(after.shown().state, Waiting), "ended, it could not be shown as running again"
    after.run()
    assert after.shown().restart_count == 1
    assert after.shown().last_state.exit_code == code  # type: ignore[union-attr]  # it is there


def test_what_ends_by_itself_while_the_executor_stops_is_judged_by_its_policy(
    clock: Clock,
) -> None:
    plan = pod_of(container_of(C, pre_stop=Sleep(seconds=9)), policy=RestartPolicy.ON_FAILURE)
    driver = running(clock, plan)
    driver.tell(Halted())  # its hook comes first: nobody has told it to end
    driver.ended(0)
    after = next_driver(clock, plan, record(driver), same_life=False)
    assert after.effects == []
    assert after.pod.stopped


@pytest.mark.parametrize("drain", list(Drain))
def test_what_had_ended_by_itself_before_it_was_told_is_judged_by_its_policy(
    clock: Clock, drain: Drain
) -> None:
    plan = plan_of(RestartPolicy.ON_FAILURE, drain=drain)
    driver = running(clock, plan)
    ended_at = clock.mono
    clock.turn(0.01)
    driver.tell(Halted())
    driver.ended(0, at_mono=ended_at)
    after = next_driver(clock, plan, record(driver), same_life=False)
    assert after.effects == []
    assert after.pod.stopped


def test_a_guest_that_does_not_drain_was_not_stopped_where_it_ended_well(clock: Clock) -> None:
    plan = plan_of(RestartPolicy.NEVER)
    driver = running(clock, plan)
    driver.tell(Halted())
    driver.ended(0)
    after = next_driver(clock, plan, record(driver), same_life=False)
    assert after.pod.stopped


def test_a_probe_that_ended_a_container_for_good_has_the_last_word(clock: Clock) -> None:
    liveness = Probe(action=TcpSocket(port=80), failure_threshold=1)
    plan = pod_of(container_of(C, liveness=liveness), policy=RestartPolicy.NEVER)
    driver = running(clock, plan)
    driver.probed(ProbeKind.LIVENESS, Verdict.FAILURE)
    driver.tell(Halted())
    driver.ended(143)
    after = next_driver(clock, plan, record(driver), same_life=False)
    assert after.effects == []
    assert after.pod.stopped


def test_an_ephemeral_container_does_not_outlive_its_executor(clock: Clock) -> None:
    debug = container_of("debug", role=ContainerRole.EPHEMERAL)
    driver = running(clock, pod_of(container_of(C), debug))
    driver.run("debug")
    driver.tell(Halted())
    driver.ended(143)
    driver.ended(143, "debug")
    after = next_driver(clock, driver.pod.plan, record(driver), same_life=False)
    assert [each.container for each in after.effects if isinstance(each, PrepareImage)] == [C]
