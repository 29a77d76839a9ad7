"""Histories that the model has found, or that a defect needs, written down as they shrank."""

from podmodel.draining import drain
from podmodel.healing import assert_healed, heal
from podmodel.validation import Json
from podmodel.world import World

APP: Json = {"name": "a0", "image": "guest:1"}
GRACE: Json = {"terminationGracePeriodSeconds": 30}


def running(**spec: object) -> tuple[World, str]:
    """A world with one pod that runs."""
    world = World()
    pod = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "containers": [APP]}
    uid = world.create(pod | spec)
    world.settle()
    for _ in range(4):
        for live in tuple(world.executor.pods.values()):
            world.work_on(live)
        world.finish_inits()
        world.settle()
    return world, uid


def healed(world: World) -> None:
    heal(world)
    assert_healed(world)


def stubborn(world: World, name: str) -> None:
    next(each for each in world.keeper.alive() if each.key.container == name).stubborn = True


def test_a_pod_that_is_being_forgotten_is_not_lost_with_its_plan() -> None:
    world, uid = running()
    stubborn(world, "a0")
    world.api.delete(uid, 0)
    world.settle()
    world.restart_supervisor(lost_plans=True)
    world.settle()
    assert world.keeper.alive(uid)
    healed(world)
    assert not world.keeper.alive()


def test_what_ended_with_a_forgotten_pod_does_not_begin_under_the_next_supervisor() -> None:
    world, uid = running(containers=[APP, APP | {"name": "a1"}])
    stubborn(world, "a1")
    world.api.delete(uid, 0)
    world.settle()
    world.restart_supervisor()
    world.settle()
    assert not any(live.work.images for live in world.executor.pods.values())
    healed(world)


def test_another_image_under_a_policy_that_restarts_nothing_is_shown_as_it_runs() -> None:
    world, uid = running(restartPolicy="Never")
    world.api.set_image(uid, "a0", "guest:2")
    world.settle()
    world.pass_time(3)
    healed(world)
    (shown,) = world.api.statuses(uid).values()
    assert "running" in shown["state"]
    assert shown["restartCount"] == 1


def test_a_spec_that_changed_unseen_by_the_watch_is_shown_after_the_next_write() -> None:
    world, uid = running(restartPolicy="OnFailure")
    world.watch_prompt = False
    world.api.add_ephemeral(uid)
    (process,) = world.keeper.alive(uid)
    world.keeper.end(process.key, 0)
    world.settle()
    healed(world)
    assert set(world.api.statuses(uid)) == {"a0", "e0"}


def test_a_roll_of_the_executor_ends_no_pod() -> None:
    world, uid = running(restartPolicy="Never")
    world.executor.halt()
    world.settle()
    healed(world)
    (shown,) = world.api.statuses(uid).values()
    assert "running" in shown["state"]
    assert shown["restartCount"] == 1


def test_what_ended_by_itself_as_the_executor_stopped_is_not_repeated() -> None:
    world, uid = running(restartPolicy="OnFailure")
    (process,) = world.keeper.alive(uid)
    world.keeper.end(process.key, 0)
    world.executor.halt()
    world.settle()
    healed(world)
    assert world.api.pods[uid]["status"]["phase"] == "Succeeded"


def test_a_drained_node_ends_its_pods_and_takes_no_other() -> None:
    world, uid = running(restartPolicy="Always")
    drain(world.executor, 3)
    late = world.create(world.api.pods[uid]["spec"])
    world.settle()
    healed(world)
    told = {each: world.api.pods[each]["status"] for each in (uid, late)}
    assert {each["phase"] for each in told.values()} == {"Failed"}
    assert (told[uid]["reason"], told[late]["reason"]) == ("Terminated", "NodeShutdown")
    assert "containerStatuses" not in told[late]


def lost_answer_to_the_end(world: World, uid: str) -> None:
    """The end is in the API, and nobody has said so to the leader; then the node loses its disk."""
    world.watch_prompt = False
    world.leader.failing_writes = 1
    world.bus.prompt = True
    world.settle()
    assert world.api.pods[uid]["status"]["phase"] in ("Failed", "Succeeded")
    world.restart_keeper(disk_lost=True)
    for _ in range(4):
        world.settle()
        for live in tuple(world.executor.pods.values()):
            world.work_on(live)
        world.pass_time(1)


def test_what_was_refused_is_not_run_by_an_executor_that_lost_its_disk() -> None:
    world = World()
    drain(world.executor, 60)
    world.bus.prompt = False
    uid = world.create({"restartPolicy": "Always", "containers": [APP]} | GRACE)
    world.settle()
    lost_answer_to_the_end(world, uid)
    healed(world)
    assert world.api.pods[uid]["status"]["reason"] == "NodeShutdown"
    assert not world.witness.fates


def test_what_has_succeeded_is_not_run_by_an_executor_that_lost_its_disk() -> None:
    world, uid = running(restartPolicy="Never")
    world.bus.prompt = False
    (process,) = world.keeper.alive(uid)
    world.keeper.end(process.key, 0)
    world.settle()
    lost_answer_to_the_end(world, uid)
    healed(world)
    assert world.api.pods[uid]["status"]["phase"] == "Succeeded"


def test_a_refusal_that_nobody_heard_of_is_none() -> None:
    """Lost with the executor that gave it: the next one has nothing against the pod."""
    world = World()
    drain(world.executor, 60)
    world.bus.prompt = False
    uid = world.create({"restartPolicy": "Always", "containers": [APP]} | GRACE)
    world.settle()
    while not world.executor.pods:
        world.deliver(0)
        world.settle()
    world.bus.parcels.clear()
    world.restart_keeper(disk_lost=True)
    healed(world)
    assert world.api.pods[uid]["status"]["phase"] == "Running"
    assert world.witness.fates[uid, "a0"].run == 0


STATIC: Json = {"restartPolicy": "Always", "containers": [APP]} | GRACE


def static(**spec: object) -> tuple[World, Json]:
    """A world with one static pod, and its mirror."""
    world = World()
    world.folder.put("s0", STATIC | spec)
    healed(world)
    (mirror,) = world.api.pods.values()
    return world, mirror


def test_a_static_pod_that_ended_and_is_run_anew_has_another_mirror() -> None:
    """A status never goes back from an end: the API server would refuse it."""
    world, before = static(restartPolicy="Never")
    (process,) = world.keeper.alive()
    world.keeper.end(process.key, 1)
    world.settle()
    assert world.api.pods[before["metadata"]["uid"]]["status"]["phase"] == "Failed"
    world.pass_time(5)
    world.restart_keeper(disk_lost=True)
    world.change_leader()
    healed(world)
    (after,) = world.api.pods.values()
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["phase"] == "Running"


def test_a_manifest_that_comes_back_under_another_leader_is_run_again() -> None:
    world, _ = static()
    stubborn(world, "a0")
    spec = world.folder.drop("s0")
    world.settle()
    world.folder.put("s0", spec)
    world.change_leader()
    healed(world)
    (mirror,) = world.api.pods.values()
    assert mirror["status"]["phase"] == "Running"


def test_a_static_pod_begins_again_on_a_node_that_was_drained_and_restarted() -> None:
    """Of its plan nothing is left there, and its end is known to the leader alone."""
    world, _ = static()
    drain(world.executor, 3)
    world.settle()
    world.restart_keeper(reboot=True)
    healed(world)
    (mirror,) = world.api.pods.values()
    assert mirror["status"]["phase"] == "Running"
