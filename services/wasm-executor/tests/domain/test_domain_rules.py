"""A container's own restart policy and rules, and the deadline of a pod."""

import msgspec
import pytest
from podclock import (
    C,
    Clock,
    Driver,
    container_of,
    init_of,
    next_driver,
    pod_of,
    record,
)

from contract.ids import ContainerName
from contract.messages.health import Sleep
from contract.messages.pod import RestartPolicy, RestartRule, RuleAction
from contract.messages.report import Terminated, Waiting
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.effects import PrepareImage, SignalRun
from wasm_executor.domain.inputs import Condemned, PlanArrived
from wasm_executor.domain.states import Phase

NEVER, ALWAYS, ON_FAILURE = RestartPolicy.NEVER, RestartPolicy.ALWAYS, RestartPolicy.ON_FAILURE
ALL = RestartRule(action=RuleAction.RESTART_ALL, exit_codes=(42,))
SHUTDOWN = Sentence(reason="Terminated", message="Pod was terminated.")


def prepares(driver: Driver) -> list[str]:
    return [each.container for each in driver.effects if isinstance(each, PrepareImage)]


@pytest.mark.parametrize(
    ("pod", "own", "rules", "code", "again"),
    [
        (NEVER, ALWAYS, (), 0, True),
        (ALWAYS, NEVER, (), 1, False),
        (NEVER, ON_FAILURE, (), 1, True),
        (NEVER, NEVER, (RestartRule(exit_codes=(42,)),), 42, True),
        (NEVER, NEVER, (RestartRule(exit_codes=(42,)),), 1, False),
        (NEVER, NEVER, (RestartRule(exit_codes=(42,), negated=True),), 1, True),
        (NEVER, NEVER, (RestartRule(exit_codes=(42,), negated=True),), 42, False),
        (NEVER, None, (RestartRule(exit_codes=(42,)),), 42, False),
    ],
)
def test_rules_come_before_the_container_s_policy_and_that_before_the_pod_s(
    clock: Clock,
    pod: RestartPolicy,
    own: RestartPolicy | None,
    rules: tuple[RestartRule, ...],
    code: int,
    *,
    again: bool,
) -> None:
    container = container_of(C, restart_policy=own, restart_rules=rules)
    driver = Driver(clock, pod_of(container, policy=pod))
    driver.begin()
    driver.ended(code)
    assert prepares(driver) == ([C] if again else [])


def all_of(clock: Clock) -> Driver:
    first = container_of(C, restart_policy=NEVER, restart_rules=(ALL,), pre_stop=Sleep(seconds=9))
    other = container_of("other", pre_stop=Sleep(seconds=9))
    driver = Driver(clock, pod_of(init_of("init"), first, other, policy=NEVER))
    driver.tell()
    driver.run("init")
    driver.ended(0, "init")
    driver.run()
    driver.run("other")
    return driver


def test_a_rule_can_restart_all_containers_without_grace_init_containers_first(
    clock: Clock,
) -> None:
    driver = all_of(clock)
    driver.ended(42)
    assert SignalRun(container=ContainerName("other"), run=0, signum=15) in driver.effects
    assert driver.is_restarting_all()
    assert not driver.pod.stopped
    driver.ended(143, "other")
    assert prepares(driver) == ["init"]
    assert not driver.is_restarting_all()
    state = driver.shown().state
    assert isinstance(state, Waiting)
    assert state.reason == "RestartingAllContainers"
    driver.run("init")
    driver.ended(0, "init")
    driver.run()
    driver.run("other")
    counts = {name: driver.shown(name).restart_count for name in ("init", C, "other")}
    assert counts == {"init": 1, C: 1, "other": 1}


def test_a_restart_of_all_goes_on_after_a_restart_of_the_supervisor(clock: Clock) -> None:
    before = all_of(clock)
    before.ended(42)
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert prepares(after) == ["init"]
    assert after.phases() == {"init": Phase.PREPARING, C: Phase.PENDING, "other": Phase.PENDING}


def test_restarts_of_all_keep_a_second_between_each_other(clock: Clock) -> None:
    ruled = container_of(C, restart_policy=NEVER, restart_rules=(ALL,))
    driver = Driver(clock, pod_of(ruled))
    driver.begin()
    clock.turn(0.05)
    driver.ended(42)
    assert prepares(driver) == [C], "the first round is at once"
    driver.run()
    clock.turn(0.05)
    driver.ended(42)
    assert (prepares(driver), driver.is_restarting_all()) == ([], True)
    assert not driver.pod.stopped
    due = driver.pod.next_wake()
    assert due is not None
    assert due - clock.mono == pytest.approx(0.95)
    driver.wait(due - clock.mono)
    assert (prepares(driver), driver.is_restarting_all()) == ([C], False)
    driver.run()
    clock.turn(1.5)
    driver.ended(42)
    assert prepares(driver) == [C], "what ran for longer waits for nothing"


def test_a_pod_that_is_deleted_between_two_rounds_is_over(clock: Clock) -> None:
    ruled = container_of(C, restart_policy=NEVER, restart_rules=(ALL,))
    driver = Driver(clock, pod_of(ruled))
    driver.begin()
    driver.ended(42)
    driver.run()
    driver.ended(42)
    driver.delete(30)
    assert driver.pod.stopped
    assert driver.pod.next_wake() is None
    driver.wait(5)
    assert prepares(driver) == []


def test_a_pod_that_is_deleted_meanwhile_does_not_begin_anew(clock: Clock) -> None:
    driver = all_of(clock)
    driver.ended(42)
    driver.delete(30)
    driver.ended(143, "other")
    assert prepares(driver) == []
    assert driver.pod.stopped


def test_a_pod_ends_at_its_deadline_under_any_policy(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C), active_deadline_s=60.0))
    driver.begin()
    driver.wait(59.9)
    assert driver.effects == []
    due = driver.pod.next_wake()
    assert due is not None
    driver.wait(due - clock.mono)
    assert driver.effects == [SignalRun(container=C, run=0, signum=15)]
    driver.ended(143)
    assert driver.pod.stopped
    sentence = driver.pod.sentence
    assert sentence is not None
    said = "Pod was active on the node longer than the specified deadline"
    assert (sentence.reason, sentence.message) == ("DeadlineExceeded", said)
    assert ("DeadlineExceeded", said) in driver.reasons()
    assert driver.pod.next_wake() is None


def test_a_deadline_can_be_set_later_and_may_have_passed_by_then(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C)))
    driver.begin()
    clock.turn(100)
    sooner = msgspec.structs.replace(driver.pod.plan, active_deadline_s=50.0)
    assert SignalRun(container=C, run=0, signum=15) in driver.tell(PlanArrived(plan=sooner))


def test_a_pod_that_ended_by_itself_has_no_deadline(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C), policy=NEVER, active_deadline_s=60.0))
    driver.begin()
    driver.ended(0)
    driver.wait(100)
    assert driver.pod.sentence is None


def test_a_sentence_outlives_the_supervisor(clock: Clock) -> None:
    before = Driver(clock, pod_of(container_of(C), active_deadline_s=60.0))
    before.begin()
    before.wait(60)
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert after.pod.stopped
    assert after.pod.sentence == before.pod.sentence
    assert prepares(after) == []


def test_a_pod_that_the_node_ends_says_why(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C)))
    driver.begin()
    driver.tell(Condemned(sentence=SHUTDOWN, grace_s=5))
    driver.wait(5.1)
    assert driver.effects == [SignalRun(container=C, run=0, signum=9)]
    driver.ended(137)
    assert driver.pod.sentence == SHUTDOWN
    assert isinstance(driver.shown().state, Terminated)


def test_a_container_that_never_ran_is_shown_as_lost_when_the_node_ends_its_pod(
    clock: Clock,
) -> None:
    driver = Driver(clock, pod_of(container_of(C)))
    driver.tell()
    driver.tell(Condemned(sentence=SHUTDOWN, grace_s=5))
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.reason == "ContainerStatusUnknown"
