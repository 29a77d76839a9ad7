"""How a pod ends: grace, draining, deletion at any moment, forgetting, halting."""

import msgspec
import pytest
from podclock import C, Clock, Driver, plan_of

from contract.messages.pod import Deletion, Drain, PodPlan, RestartPolicy
from contract.messages.report import Running, Terminated
from wasm_executor.domain.effects import (
    AbandonImage,
    AbandonRun,
    AbandonStart,
    CloseStdin,
    PlaceDrainFile,
    PrepareImage,
    SignalRun,
)
from wasm_executor.domain.inputs import Forgotten, Halted, PlanArrived

TERM = SignalRun(container=C, run=0, signum=15)
KILL = SignalRun(container=C, run=0, signum=9)


def deletion(driver: Driver, grace_s: float) -> PlanArrived:
    gone = Deletion(requested_at=driver.clock.now.wall, grace_s=grace_s)
    return PlanArrived(plan=msgspec.structs.replace(driver.pod.plan, deletion=gone))


def running(clock: Clock, plan: PodPlan) -> Driver:
    driver = Driver(clock, plan)
    driver.begin()
    return driver


def test_deletion_sends_sigterm_and_sigkill_when_grace_is_over(clock: Clock) -> None:
    driver = running(clock, plan_of())
    assert driver.tell(deletion(driver, 30)) == [TERM]
    assert ("Killing", "Stopping container c") in driver.reasons()
    assert isinstance(driver.shown().state, Running)
    assert driver.wait(29.9) == []
    assert driver.wait(0.2) == [KILL]
    driver.ended(137, signal=9)
    assert driver.pod.stopped


def test_a_guest_that_drains_gets_end_of_file_instead_of_sigterm(clock: Clock) -> None:
    driver = running(clock, plan_of(drain=Drain.STDIN_EOF))
    assert driver.tell(deletion(driver, 30)) == [CloseStdin(container=C, run=0)]
    assert driver.wait(30.1) == [KILL]


def test_a_guest_that_drains_at_a_file_gets_that_instead(clock: Clock) -> None:
    driver = running(clock, plan_of(drain=Drain.FILE))
    assert driver.tell(deletion(driver, 30)) == [PlaceDrainFile(container=C, run=0)]
    assert driver.wait(30.1) == [KILL]


@pytest.mark.parametrize("grace_s", [0, 1])
def test_grace_is_never_less_than_two_seconds(clock: Clock, grace_s: float) -> None:
    driver = running(clock, plan_of())
    driver.tell(deletion(driver, grace_s))
    assert driver.wait(1.9) == []
    assert driver.wait(0.2) == [KILL]


def test_grace_can_be_shortened_and_not_lengthened(clock: Clock) -> None:
    driver = running(clock, plan_of())
    driver.tell(deletion(driver, 30))
    driver.tell(deletion(driver, 300))
    driver.tell(deletion(driver, 5))
    assert driver.wait(5.1) == [KILL]


def test_a_deleted_pod_does_not_restart_whatever_its_policy(clock: Clock) -> None:
    driver = running(clock, plan_of(RestartPolicy.ALWAYS))
    driver.tell(deletion(driver, 30))
    driver.ended(143, signal=15)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (143, "Error")
    assert driver.pod.stopped


def test_a_pod_that_waits_for_its_image_ends_at_once(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    assert driver.tell(deletion(driver, 30)) == [AbandonImage(container=C)]
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "ContainerStatusUnknown")
    assert state.message == "The container could not be located when the pod was terminated"
    assert driver.pod.stopped


def test_a_container_that_never_ran_is_shown_as_lost_only_when_its_whole_pod_is_over(
    clock: Clock,
) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.ALWAYS, "first", "second"))
    driver.tell()
    driver.run("first")
    before = driver.shown("second")
    driver.tell(deletion(driver, 30))
    assert driver.shown("second") == before
    driver.ended(0, "first")
    state = driver.shown("second").state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (137, "ContainerStatusUnknown")


def test_a_pod_in_back_off_ends_at_once_with_its_last_exit(clock: Clock) -> None:
    driver = running(clock, plan_of())
    driver.ended(3)
    driver.run()
    driver.ended(4)
    assert driver.tell(deletion(driver, 30)) == []
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert state.exit_code == 4
    assert driver.pod.stopped


def test_a_deletion_during_the_start_stops_what_starts(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    assert driver.tell(deletion(driver, 30)) == [AbandonStart(container=C)]
    assert not driver.pod.stopped
    assert driver.started() == [TERM]
    driver.ended(143)
    assert driver.pod.stopped


def test_a_deletion_during_a_start_that_fails_ends_there(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    driver.tell(deletion(driver, 30))
    driver.refused("no _start")
    assert driver.pod.stopped


def test_a_deletion_while_no_process_can_be_had_ends_there(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    wanted = list(driver.effects)
    driver.tell(deletion(driver, 30))
    driver.effects = wanted
    driver.unprepared("CreateContainerError", "no process")
    assert driver.pod.stopped


def test_a_forgotten_pod_is_quiet_and_hurried(clock: Clock) -> None:
    driver = running(clock, plan_of())
    seen = len(driver.occurrences)
    assert driver.tell(Forgotten(grace_s=0)) == [TERM]
    assert driver.pod.quiet
    assert driver.wait(2.1) == [KILL, AbandonRun(container=C, run=0)]
    driver.ended(137)
    assert driver.pod.stopped
    assert len(driver.occurrences) == seen


def test_another_image_replaces_what_runs_and_resets_the_back_off(clock: Clock) -> None:
    driver = running(clock, plan_of(RestartPolicy.NEVER))
    plan = driver.pod.plan
    other = msgspec.structs.replace(plan.containers[0], image="other")
    news = PlanArrived(plan=msgspec.structs.replace(plan, containers=(other,)))
    assert driver.tell(news) == [TERM]
    assert ("Killing", "Container c definition changed, will be restarted") in driver.reasons()
    effects = driver.ended(143)
    assert [each.image for each in effects if isinstance(each, PrepareImage)] == ["other"]
    driver.run()
    assert driver.shown().restart_count == 1
    assert driver.shown().image == "other"


def test_another_image_ends_a_back_off(clock: Clock) -> None:
    driver = running(clock, plan_of())
    driver.ended(1)
    driver.run()
    driver.ended(1)
    plan = driver.pod.plan
    other = msgspec.structs.replace(plan.containers[0], image="other")
    news = PlanArrived(plan=msgspec.structs.replace(plan, containers=(other,)))
    assert [type(each) for each in driver.tell(news)] == [PrepareImage]
    driver.run()
    assert any(isinstance(each, PrepareImage) for each in driver.ended(1))


def test_a_kill_is_repeated_until_the_end_is_known(clock: Clock) -> None:
    driver = running(clock, plan_of())
    driver.tell(deletion(driver, 2))
    assert driver.wait(2.1) == [KILL]
    assert driver.wait(2.1) == [KILL]


def test_grace_counts_from_the_first_deletion_also_for_what_starts_later(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    driver.tell()
    driver.prepared()
    driver.tell(deletion(driver, 5))
    clock.turn(3)
    driver.tell(deletion(driver, 300))
    driver.started()
    assert driver.wait(1.9) == []
    assert driver.wait(0.2) == [KILL]


def test_a_deletion_does_not_lengthen_a_stop_under_way(clock: Clock) -> None:
    driver = running(clock, plan_of(termination_grace_s=5.0))
    plan = driver.pod.plan
    other = msgspec.structs.replace(plan.containers[0], image="other")
    driver.tell(PlanArrived(plan=msgspec.structs.replace(plan, containers=(other,))))
    driver.tell(deletion(driver, 30))
    assert driver.wait(5.1) == [KILL]
    driver.ended(137)
    assert driver.pod.stopped


def test_a_halted_pod_that_never_ran_has_no_end_to_remember(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.NEVER))
    driver.tell()
    driver.tell(Halted())
    assert driver.pod.stopped
    assert driver.pod.record(clock.now.wall, 1).containers[0].latest_end is None


def test_another_image_starts_the_back_off_over(clock: Clock) -> None:
    driver = running(clock, plan_of())
    driver.ended(1)
    driver.run()
    plan = driver.pod.plan
    other = msgspec.structs.replace(plan.containers[0], image="other")
    driver.tell(PlanArrived(plan=msgspec.structs.replace(plan, containers=(other,))))
    driver.ended(143)
    driver.run()
    assert any(isinstance(each, PrepareImage) for each in driver.ended(1))
