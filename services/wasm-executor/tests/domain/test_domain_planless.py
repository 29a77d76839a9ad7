"""What becomes of a run whose plan, or whose record, was lost while it ran."""

import pytest
from podclock import Clock, Driver, alive, dead, next_driver, plan_of, record

from contract.messages.pod import RestartPolicy
from contract.messages.report import Waiting
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.unplanned import ended_without_plan


@pytest.mark.parametrize("policy", list(RestartPolicy))
def test_an_end_that_came_without_a_plan_counts_when_the_plan_comes(
    clock: Clock, policy: RestartPolicy
) -> None:
    before = Driver(clock, plan_of(policy))
    before.begin()
    before.ended(1)
    if policy is not RestartPolicy.NEVER:
        before.run()
    run = before.pod.containers[0].history.run
    kept = ended_without_plan(record(before), dead(clock, 1, run), Rules())
    assert ended_without_plan(kept, dead(clock, 1, run), Rules()) == kept
    after = next_driver(clock, before.pod.plan, kept, dead(clock, 1, run))
    if policy is RestartPolicy.NEVER:
        assert after.pod.stopped
        return
    before.ended(1)
    assert after.pod.reports() == before.pod.reports()
    assert isinstance(after.shown().state, Waiting)
    after.wait(10.1)
    after.run()
    assert after.shown().restart_count == 2


def test_what_runs_without_a_plan_is_not_written_down_as_ended(clock: Clock) -> None:
    before = Driver(clock, plan_of(RestartPolicy.NEVER))
    before.begin()
    kept = record(before)
    assert ended_without_plan(kept, alive(clock), Rules()) == kept


@pytest.mark.parametrize("policy", list(RestartPolicy))
def test_a_run_that_the_record_missed_is_known_by_the_table_of_the_keeper(
    clock: Clock, policy: RestartPolicy
) -> None:
    before = Driver(clock, plan_of(policy))
    before.tell()
    kept = record(before)
    before.run()
    after = next_driver(clock, before.pod.plan, kept, alive(clock))
    assert after.effects == []
    assert after.shown().state == before.shown().state
    assert after.shown().container_id == before.shown().container_id
