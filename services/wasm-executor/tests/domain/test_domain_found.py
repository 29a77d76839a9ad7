"""Histories that the model of a pod's life has found, each as short as it gets (`tests/model`)."""

import msgspec
import pytest
from podclock import (
    C,
    Clock,
    Driver,
    alive,
    container_of,
    dead,
    init_of,
    next_driver,
    plan_of,
    pod_of,
    record,
    sidecar_of,
)

from contract.messages.health import Exec, Sleep
from contract.messages.pod import PodPlan, RestartPolicy, RestartRule, RuleAction
from contract.messages.report import Running, Terminated, Waiting
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.checks import HookKind
from wasm_executor.domain.effects import AbandonHook, PrepareImage, RunHook, SignalRun
from wasm_executor.domain.frame import Cause
from wasm_executor.domain.inputs import Condemned, Forgotten, Halted, PlanArrived

NEVER = RestartPolicy.NEVER
ALL = RestartRule(action=RuleAction.RESTART_ALL, exit_codes=(42,))


def other_image(plan: PodPlan) -> PodPlan:
    changed = msgspec.structs.replace(plan.containers[0], image="other")
    return msgspec.structs.replace(plan, containers=(changed, *plan.containers[1:]))


def test_a_clock_that_was_set_back_before_a_stop_makes_no_back_off_of_an_hour(
    clock: Clock,
) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.ended(1)
    before.run()
    clock.mono -= 3600
    before.tell(Halted())
    before.ended(143)
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert [type(each) for each in after.effects] == [PrepareImage]


def test_a_container_that_is_told_to_end_has_two_seconds_whatever_hastens_it(
    clock: Clock,
) -> None:
    driver = Driver(clock, pod_of(container_of(C, pre_stop=Sleep(seconds=9))))
    driver.begin()
    driver.delete(30)
    driver.wait(29.5)
    driver.hooked(HookKind.PRE_STOP)
    assert driver.effects == [SignalRun(container=C, run=0, signum=15)]
    clock.turn(1.5)
    assert driver.tell(Forgotten(grace_s=2)) == []
    assert SignalRun(container=C, run=0, signum=9) in driver.wait(0.6)


def test_no_hook_is_given_up_that_was_never_begun(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C, post_start=Exec(command=("x",)))))
    driver.tell()
    driver.prepared()
    driver.tell(PlanArrived(plan=other_image(driver.pod.plan)))
    kinds = [type(each) for each in driver.started()]
    assert kinds == [SignalRun]
    assert not {RunHook, AbandonHook} & set(kinds)


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, True)])
def test_no_rule_runs_an_init_container_again_that_has_done_its_work(
    clock: Clock, code: int, *, again: bool
) -> None:
    rule = RestartRule(exit_codes=(42,), negated=True)
    init = init_of("init", restart_policy=NEVER, restart_rules=(rule,))
    driver = Driver(clock, pod_of(init, container_of(C)))
    driver.tell()
    driver.run("init")
    driver.ended(code, "init")
    wanted = [each.container for each in driver.effects if isinstance(each, PrepareImage)]
    assert wanted == (["init"] if again else [C])


def test_a_sidecar_s_rule_can_restart_all_containers(clock: Clock) -> None:
    driver = Driver(clock, pod_of(sidecar_of("side", restart_rules=(ALL,)), container_of(C)))
    driver.tell()
    driver.run("side")
    driver.run()
    driver.ended(42, "side")
    assert driver.is_restarting_all()


def test_a_dead_container_is_not_replaced_but_judged_by_its_policy(clock: Clock) -> None:
    before = Driver(clock, pod_of(container_of(C, pre_stop=Sleep(seconds=9)), policy=NEVER))
    before.begin()
    kept = record(before)
    after = next_driver(
        clock, other_image(before.pod.plan), kept, dead(clock, 137), same_life=False
    )
    assert not {RunHook, PrepareImage} & {type(each) for each in after.effects}
    assert after.pod.stopped


def replaced(clock: Clock) -> Driver:
    driver = Driver(clock, plan_of(NEVER))
    driver.begin()
    driver.tell(PlanArrived(plan=other_image(driver.pod.plan)))
    driver.ended(143)
    return driver


def test_what_another_image_replaces_is_never_shown_as_ended_for_good(clock: Clock) -> None:
    driver = replaced(clock)
    assert isinstance(driver.shown().state, Waiting)
    assert isinstance(driver.shown().last_state, Terminated)
    driver.run()
    assert isinstance(driver.shown().state, Running)
    assert driver.shown().restart_count == 1


@pytest.mark.parametrize("same_life", [True, False])
def test_another_image_takes_its_place_under_the_next_supervisor_too(
    clock: Clock, *, same_life: bool
) -> None:
    before = replaced(clock)
    after = next_driver(clock, before.pod.plan, record(before), same_life=same_life)
    assert isinstance(after.shown().state, Waiting)
    after.run()
    again = next_driver(clock, before.pod.plan, record(after), alive(clock, run=1))
    again.ended(0)
    final = next_driver(clock, before.pod.plan, record(again))
    assert final.effects == []
    assert final.pod.stopped


@pytest.mark.parametrize("same_life", [True, False])
def test_a_pod_that_begins_anew_begins_with_its_init_containers_under_the_next_supervisor(
    clock: Clock, *, same_life: bool
) -> None:
    main = container_of(C, restart_policy=NEVER, restart_rules=(ALL,))
    before = Driver(clock, pod_of(init_of("init"), main, policy=NEVER))
    before.tell()
    before.run("init")
    before.ended(0, "init")
    before.run()
    before.ended(42)
    assert not before.is_restarting_all()
    after = next_driver(clock, before.pod.plan, record(before), same_life=same_life)
    assert [each.container for each in after.effects if isinstance(each, PrepareImage)] == ["init"]
    after.run("init")
    after.ended(0, "init")
    after.run()
    assert after.shown().restart_count == 1


def test_a_next_supervisor_leaves_a_deletion_its_grace_where_no_app_had_begun(
    clock: Clock,
) -> None:
    init, main = init_of(C), container_of("main")
    before = Driver(clock, pod_of(init, main, termination_grace_s=5.0))
    before.begin()
    before.delete(30)
    after = next_driver(clock, before.pod.plan, record(before), alive(clock))
    assert after.effects == [SignalRun(container=C, run=0, signum=15)]
    assert after.wait(29) == []
    assert after.wait(1.1) == [SignalRun(container=C, run=0, signum=9)]


def test_an_executor_that_stops_does_not_bring_back_what_it_was_to_forget(clock: Clock) -> None:
    before = Driver(clock, pod_of(container_of(C), container_of("other")))
    before.begin()
    before.run("other")
    before.tell(Forgotten(grace_s=2))
    before.ended(143)
    before.tell(Halted())
    before.ended(143, "other")
    assert before.pod.cause is Cause.FORGOTTEN
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert after.effects == []


def test_a_forgotten_pod_is_ended_by_the_next_life_and_begins_nothing(clock: Clock) -> None:
    """Its object is gone: nobody says so twice to an executor that has already promised it."""
    before = Driver(clock, pod_of(container_of("a"), container_of("b", pre_stop=Sleep(seconds=9))))
    before.tell()
    before.run("a")
    before.run("b")
    before.tell(Forgotten(grace_s=30))
    before.ended(143, "a")
    before.tell(Halted())
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert not any(isinstance(each, PrepareImage) for each in after.effects)
    assert after.pod.stopped
    assert after.pod.cause is Cause.FORGOTTEN


def test_what_had_ended_before_the_executor_stopped_is_over_in_its_next_life(
    clock: Clock,
) -> None:
    before = Driver(clock, pod_of(container_of("a"), container_of("b")))
    before.tell()
    before.run("a")
    before.run("b")
    before.tell(Condemned(sentence=Sentence(reason="Evicted", message="low"), grace_s=30))
    before.ended(143, "a")
    before.tell(Halted())
    ended = {each.name: each.ended for each in record(before).containers}
    assert ended == {"a": True, "b": False}
