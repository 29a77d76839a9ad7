"""What becomes of a pod of which the status in the API alone is left."""

from datetime import timedelta
from typing import Any

import pytest
from podclock import (
    EPOCH,
    LIFE,
    C,
    Clock,
    Driver,
    next_driver,
    plan_of,
)

from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import ContainerReport, ContainerState, Running, Terminated, Waiting
from wasm_executor.domain.logs import NoLogError, run_to_read
from wasm_executor.domain.states import Phase
from wasm_executor.domain.witnesses import (
    new_record,
    record_of_status,
)


def status(state: ContainerState, **more: Any) -> ContainerReport:
    return ContainerReport(name=C, state=state, **more)


def ended(code: int) -> Terminated:
    wall = EPOCH
    return Terminated(exit_code=code, reason="Error", started_at=wall, finished_at=wall)


def from_status(clock: Clock, plan: PodPlan, shown: ContainerReport) -> Driver:
    known = record_of_status(plan, (shown,), clock.now)
    return next_driver(clock, plan, known, same_life=False)


def test_the_status_in_the_api_says_what_is_not_to_run_again(clock: Clock) -> None:
    shown = status(ended(4), restart_count=2)
    driver = from_status(clock, plan_of(RestartPolicy.NEVER), shown)
    assert driver.effects == []
    assert driver.pod.stopped
    assert driver.shown().state == ended(4)


def test_the_status_in_the_api_carries_counts_and_ends_on(clock: Clock) -> None:
    shown = status(ended(4), restart_count=2, last_state=ended(3))
    driver = from_status(clock, plan_of(), shown)
    driver.run()
    assert driver.shown().restart_count == 3
    assert driver.shown().last_state == ended(4)


def test_what_the_status_shows_running_was_killed_with_its_node(clock: Clock) -> None:
    shown = status(Running(started_at=clock.now.wall), restart_count=2)
    clock.turn(60)
    never = from_status(clock, plan_of(RestartPolicy.NEVER), shown).shown().state
    assert isinstance(never, Terminated)
    assert (never.exit_code, never.started_at) == (137, clock.now.wall - timedelta(seconds=60))
    always = from_status(clock, plan_of(), shown)
    always.run()
    assert always.shown().restart_count == 3


@pytest.mark.parametrize("policy", list(RestartPolicy))
def test_what_the_status_shows_waiting_for_its_first_run_is_started(
    clock: Clock, policy: RestartPolicy
) -> None:
    shown = status(Waiting(reason="ContainerCreating"))
    driver = from_status(clock, plan_of(policy), shown)
    driver.run()
    assert driver.shown().restart_count == 0


def test_what_the_status_shows_in_back_off_goes_on_counting(clock: Clock) -> None:
    shown = status(Waiting(reason="CrashLoopBackOff"), restart_count=5, last_state=ended(1))
    driver = from_status(clock, plan_of(), shown)
    driver.run()
    assert driver.shown().restart_count == 6


def test_a_new_pod_has_no_past(clock: Clock) -> None:
    plan = plan_of()
    driver = next_driver(clock, plan, new_record(plan, LIFE, clock.now))
    assert driver.pod.containers[0].phase is Phase.PREPARING
    assert driver.shown().container_id == ""


def test_a_run_that_never_was_has_no_log(clock: Clock) -> None:
    shown = status(Waiting(reason="CrashLoopBackOff"), restart_count=1, last_state=ended(137))
    driver = from_status(clock, plan_of(), shown)
    driver.unprepared("ErrImagePull", "x")
    with pytest.raises(NoLogError, match="not found"):
        run_to_read("pod", driver.pod.containers[0], previous=True)
