"""What becomes of a pod after a supervisor, a keeper, a machine, or a disk was lost."""

import msgspec
import pytest
from podclock import (
    LIFE,
    C,
    Clock,
    Driver,
    alive,
    dead,
    next_driver,
    plan_of,
    record,
)

from contract.messages.pod import Deletion, RestartPolicy
from contract.messages.report import Running, Terminated, Waiting
from wasm_executor.domain.effects import ForgetRun, PrepareImage, SignalRun, StartRun
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.inputs import Confirmed, Forgotten
from wasm_executor.domain.restoring import restore
from wasm_executor.domain.witnesses import (
    record_of_present,
)


def test_what_runs_goes_on_as_it_was(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    after = next_driver(clock, before.pod.plan, record(before), alive(clock))
    assert after.effects == []
    assert after.pod.reports() == before.pod.reports()


def test_an_end_that_nobody_saw_is_taken_once(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    after = next_driver(clock, before.pod.plan, record(before), dead(clock, 3))
    assert [type(each) for each in after.effects] == [ForgetRun, PrepareImage]
    state = after.shown().state
    assert isinstance(state, Terminated)
    assert state.exit_code == 3
    again = next_driver(clock, before.pod.plan, record(after), dead(clock, 3))
    assert again.shown().last_state is None
    again.run()
    assert again.shown().restart_count == 1


def test_a_spawn_that_nobody_finished_begins_again_under_its_number(clock: Clock) -> None:
    before = Driver(clock, plan_of(RestartPolicy.NEVER))
    before.tell()
    before.prepared()
    after = next_driver(clock, before.pod.plan, record(before))
    assert [type(each) for each in after.effects] == [PrepareImage]
    assert [each.run for each in after.prepared() if isinstance(each, StartRun)] == [0]
    after.started()
    assert after.shown().restart_count == 0


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("policy", "again"),
    [
        (RestartPolicy.ALWAYS, True),
        (RestartPolicy.ON_FAILURE, True),
        (RestartPolicy.NEVER, False),
    ],
)
def test_what_ran_when_the_keeper_died_counts_as_killed(
    clock: Clock, policy: RestartPolicy, *, again: bool, known: bool
) -> None:
    before = Driver(clock, plan_of(policy))
    before.begin()
    table = (dead(clock, 137),) if known else ()
    after = next_driver(clock, before.pod.plan, record(before), *table, same_life=False)
    state = after.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "Error")
    assert any(isinstance(each, PrepareImage) for each in after.effects) is again
    assert after.pod.stopped is not again


def test_being_killed_with_the_keeper_costs_no_back_off(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.ended(1)
    before.run()
    after = next_driver(
        clock, before.pod.plan, record(before), dead(clock, 137, run=1), same_life=False
    )
    assert any(isinstance(each, PrepareImage) for each in after.effects)
    after.run()
    assert after.shown().restart_count == 2


def test_a_crash_before_the_keeper_died_keeps_its_back_off(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.ended(1)
    before.run()
    after = next_driver(
        clock, before.pod.plan, record(before), dead(clock, 1, run=1), same_life=False
    )
    assert isinstance(after.shown().state, Waiting)


@pytest.mark.parametrize("same_life", [True, False])
def test_a_back_off_goes_on_where_it_was(clock: Clock, *, same_life: bool) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.ended(1)
    before.run()
    before.ended(1)
    clock.turn(4)
    after = next_driver(clock, before.pod.plan, record(before), same_life=same_life)
    assert after.pod.reports() == before.pod.reports()
    assert after.wait(5.9) == []
    assert [type(each) for each in after.wait(0.2)] == [PrepareImage]


def test_a_clock_that_was_set_back_does_not_hold_a_restart(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.ended(1)
    before.run()
    before.ended(1)
    kept = record(before)
    clock.mono -= 86_400
    after = next_driver(clock, before.pod.plan, kept)
    assert [type(each) for each in after.effects] == [PrepareImage]


@pytest.mark.parametrize("same_life", [True, False])
def test_a_finished_pod_never_runs_again(clock: Clock, *, same_life: bool) -> None:
    before = Driver(clock, plan_of(RestartPolicy.NEVER))
    before.begin()
    before.ended(0)
    after = next_driver(clock, before.pod.plan, record(before), same_life=same_life)
    assert after.effects == []
    assert after.pod.stopped
    assert after.pod.reports() == before.pod.reports()


def test_a_deletion_goes_on_with_what_is_left_of_its_grace(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    gone = Deletion(requested_at=clock.now.wall, grace_s=30)
    plan = msgspec.structs.replace(before.pod.plan, deletion=gone)
    kept = record(before)
    clock.turn(20)
    after = next_driver(clock, plan, kept, alive(clock))
    assert after.effects == [SignalRun(container=C, run=0, signum=15)]
    assert after.wait(9) == []
    assert after.wait(1.1) == [SignalRun(container=C, run=0, signum=9)]


def test_an_image_that_changed_meanwhile_is_replaced(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    other = msgspec.structs.replace(before.pod.plan.containers[0], image="other")
    plan = msgspec.structs.replace(before.pod.plan, containers=(other,))
    after = next_driver(clock, plan, record(before), alive(clock))
    assert after.effects == [SignalRun(container=C, run=0, signum=15)]


def test_without_a_record_the_table_of_the_keeper_tells(clock: Clock) -> None:
    plan, present = plan_of(), alive(clock, run=4)
    known = record_of_present(plan, (present,), LIFE, clock.now)
    after = next_driver(clock, plan, known, present)
    assert after.shown().restart_count == 4
    assert isinstance(after.shown().state, Running)


def test_a_forgotten_pod_that_was_not_buried_does_not_restart(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    before.tell(Forgotten(grace_s=2))
    before.ended(143)
    after = next_driver(clock, before.pod.plan, record(before))
    assert after.effects == []
    assert after.pod.stopped


def test_without_a_record_a_pod_began_when_its_first_run_did(clock: Clock) -> None:
    present = alive(clock, run=4)
    clock.turn(60)
    known = record_of_present(plan_of(), (present,), LIFE, clock.now)
    assert known.started_at == present.started_at


def test_a_pod_of_an_earlier_life_begins_when_it_is_still_wanted(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    after = doubted(clock, before)
    assert after.wait(1) == []
    assert not after.pod.settled, "nobody is told of what is about to change"
    assert [type(each) for each in after.tell(Confirmed())] == [PrepareImage]


def test_without_a_word_a_pod_begins_as_it_was_wanted_last(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    after = doubted(clock, before)
    assert after.pod.next_wake() == clock.now.mono + Rules().word_s
    assert [type(each) for each in after.wait(Rules().word_s)] == [PrepareImage]


def test_a_pod_that_was_deleted_meanwhile_does_not_run_to_be_stopped(clock: Clock) -> None:
    before = Driver(clock, plan_of())
    before.begin()
    after = doubted(clock, before)
    assert after.delete(30) == []
    assert after.pod.stopped
    assert after.shown().restart_count == 0


def doubted(clock: Clock, before: Driver) -> Driver:
    """The pod in a new life of the executor, before anybody has told of it."""
    plan = before.pod.plan
    pod = restore(plan, record(before), (), same_life=False, now=clock.now, rules=Rules()).pod
    pod.doubt(clock.now)
    after = Driver(clock, plan, pod)
    assert after.tell() == []
    return after
