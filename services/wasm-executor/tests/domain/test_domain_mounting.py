"""What a pod needs before it runs: its volumes, and what its containers' configuration names."""

import msgspec
from podclock import C, Clock, Driver, container_of, next_driver, pod_of, record

from contract.messages.pod import Deletion, PodPlan, RestartPolicy
from contract.messages.report import Running, Waiting
from contract.messages.volume import EmptyDir, Mount, VolumePlan
from wasm_executor.domain.effects import DropVolumes, PrepareImage, PrepareVolumes
from wasm_executor.domain.inputs import Halted, PlanArrived, VolumesFailed, VolumesPrepared
from wasm_executor.domain.states import Phase

SCRATCH = VolumePlan(name="scratch", source=EmptyDir())
LATE = VolumePlan(name="late", missing='configmap "late" not found')
FAILED = 'MountVolume.SetUp failed for volume "late" : configmap "late" not found'
LACKING = 'configmap "app" not found'
NEVER = RestartPolicy.NEVER


def with_volumes(*volumes: VolumePlan) -> PodPlan:
    return msgspec.structs.replace(pod_of(container_of(C)), volumes=volumes)


def attempts(driver: Driver) -> list[int]:
    return [each.attempt for each in driver.effects if isinstance(each, PrepareVolumes)]


def test_a_pod_begins_when_its_volumes_are_there(clock: Clock) -> None:
    driver = Driver(clock, with_volumes(SCRATCH))
    assert driver.tell() == [PrepareVolumes(attempt=1)]
    assert not driver.pod.settled, "it is about to begin: nothing is to be reported yet"
    assert driver.pod.awaits_volumes
    assert [type(each) for each in driver.tell(VolumesPrepared(attempt=1))] == [PrepareImage]
    assert not driver.pod.awaits_volumes


def test_volumes_that_cannot_be_made_are_tried_again_as_the_kubelet_does(clock: Clock) -> None:
    driver = Driver(clock, with_volumes(LATE))
    driver.tell()
    waits = []
    for attempt in range(1, 11):
        driver.tell(VolumesFailed(attempt=attempt, message=FAILED))
        due = driver.pod.next_wake()
        assert due is not None
        waits.append(due - clock.mono)
        driver.wait(waits[-1])
        assert attempts(driver) == [attempt + 1]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122]
    assert ("FailedMount", FAILED) in driver.reasons()
    assert driver.shown().state == Waiting(reason="ContainerCreating")


def test_a_source_that_turns_up_is_mounted_at_once(clock: Clock) -> None:
    driver = Driver(clock, with_volumes(LATE))
    driver.tell()
    driver.tell(VolumesFailed(attempt=1, message=FAILED))
    driver.tell(PlanArrived(plan=with_volumes(SCRATCH)))
    assert attempts(driver) == [2]
    driver.tell(VolumesFailed(attempt=1, message="of the plan before"))
    assert ("FailedMount", "of the plan before") not in driver.reasons()
    driver.tell(VolumesPrepared(attempt=2))
    assert driver.phases()[C] is Phase.PREPARING


def test_a_change_of_volumes_renews_them_under_a_running_container(clock: Clock) -> None:
    driver = Driver(clock, with_volumes(LATE))
    driver.tell()
    driver.tell(VolumesPrepared(attempt=1))
    driver.run()
    driver.tell(PlanArrived(plan=with_volumes(SCRATCH)))
    assert driver.effects == [PrepareVolumes(attempt=2, renewal=True)]
    assert not driver.pod.awaits_volumes
    assert isinstance(driver.shown().state, Running)


def test_a_deleted_pod_does_not_wait_for_its_volumes(clock: Clock) -> None:
    driver = Driver(clock, with_volumes(LATE))
    driver.tell()
    driver.delete(30)
    assert driver.pod.stopped
    driver.tell(VolumesFailed(attempt=1, message=FAILED))
    driver.wait(10)
    assert attempts(driver) == []


def test_a_restarted_executor_makes_volumes_again_before_anything_begins(clock: Clock) -> None:
    before = Driver(clock, with_volumes(SCRATCH))
    before.tell()
    before.tell(VolumesPrepared(attempt=1))
    before.run()
    before.ended(1)
    after = next_driver(clock, before.pod.plan, record(before), same_life=False)
    assert [type(each) for each in after.effects] == [PrepareVolumes]
    assert not after.pod.awaits_volumes, "it was ready once"
    assert [type(each) for each in after.tell(VolumesPrepared(attempt=1))] == [PrepareImage]


def test_a_container_that_lacks_something_waits_for_the_plan_that_has_it(clock: Clock) -> None:
    lacking = container_of(C, config_error=LACKING)
    driver = Driver(clock, pod_of(lacking))
    driver.tell()
    driver.prepared()
    state = Waiting(reason="CreateContainerConfigError", message=LACKING)
    assert driver.shown().state == state
    assert ("Failed", f"Error: {LACKING}") in driver.reasons()
    driver.wait(10)
    driver.prepared()
    assert driver.shown().state == state
    driver.tell(PlanArrived(plan=pod_of(container_of(C))))
    driver.run()
    assert isinstance(driver.shown().state, Running)


def test_a_container_that_lacks_something_is_told_of_again_and_again(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C, config_error=LACKING)))
    driver.tell()
    for times in range(1, 6):
        driver.prepared()
        assert driver.reasons().count(("Failed", f"Error: {LACKING}")) == times
        assert driver.wait(9.9) == []
        assert [type(each) for each in driver.wait(0.2)] == [PrepareImage]


def test_a_container_that_runs_does_not_mind_what_it_lacks_now(clock: Clock) -> None:
    driver = Driver(clock, pod_of(container_of(C)))
    driver.begin()
    assert driver.tell(PlanArrived(plan=pod_of(container_of(C, config_error=LACKING)))) == []
    assert isinstance(driver.shown().state, Running)


def dropped(driver: Driver) -> int:
    return sum(isinstance(each, DropVolumes) for each in driver.wanted)


def over(clock: Clock) -> Driver:
    """A pod whose only container has ended well, for good."""
    driver = Driver(clock, msgspec.structs.replace(with_volumes(SCRATCH), restart_policy=NEVER))
    driver.tell()
    driver.tell(VolumesPrepared(attempt=1))
    driver.run()
    driver.ended(0)
    return driver


def test_a_pod_that_is_over_keeps_no_volumes(clock: Clock) -> None:
    driver = over(clock)
    assert driver.effects[-1] == DropVolumes()
    driver.wait(10)
    driver.tell(PlanArrived(plan=with_volumes(LATE)))
    driver.delete(30)
    assert (dropped(driver), attempts(driver)) == (1, [])


def test_a_supervisor_that_finds_a_pod_over_drops_what_one_before_it_may_have_left(
    clock: Clock,
) -> None:
    before = over(clock)
    after = next_driver(clock, before.pod.plan, record(before))
    assert after.effects == [DropVolumes()]


def test_a_pod_that_restarts_or_that_its_executor_takes_up_again_keeps_its_volumes(
    clock: Clock,
) -> None:
    driver = Driver(clock, with_volumes(SCRATCH))
    driver.tell()
    driver.tell(VolumesPrepared(attempt=1))
    driver.run()
    driver.ended(1)
    driver.run()
    driver.tell(Halted(grace_s=30))
    driver.ended(143)
    assert driver.pod.stopped
    assert dropped(driver) == 0


def test_a_pod_that_ends_while_its_volumes_are_made_has_them_dropped_behind_that(
    clock: Clock,
) -> None:
    driver = Driver(clock, with_volumes(SCRATCH))
    driver.tell()
    driver.delete(30)
    driver.tell(VolumesPrepared(attempt=1))
    assert dropped(driver) == 1


def test_a_pod_that_is_ended_by_its_name_alone_keeps_no_volumes_either(clock: Clock) -> None:
    """Another reconciler that cannot plan it names neither volumes nor mounts."""
    mounted = container_of(C, mounts=(Mount(volume="scratch", path="/scratch"),))
    plan = msgspec.structs.replace(pod_of(mounted), volumes=(SCRATCH,))
    driver = Driver(clock, plan)
    driver.tell()
    driver.tell(VolumesPrepared(attempt=1))
    driver.run()
    end = Deletion(requested_at=clock.now.wall, grace_s=30)
    bare = msgspec.structs.replace(pod_of(container_of(C)), deletion=end)
    driver.tell(PlanArrived(plan=bare))
    assert driver.pod.plan.containers == (mounted,), "what was mounted holds its last words"
    driver.ended(143)
    assert (dropped(driver), attempts(driver)) == (1, [])
