"""A node that shuts down is not ready, in the kubelet's words, until its executor starts anew."""

from typing import Any

from registrar_peers import Executor
from registrar_scene import Scene, conditions, is_ready

TELLS = {"shutting_down": True}


def is_shutting_down(node: dict[str, Any]) -> bool:
    ready = conditions(node)["Ready"]
    told = (ready["status"], ready["reason"], ready["message"])
    return told == ("False", "KubeletNotReady", "node is shutting down")


async def shutting_down(scene: Scene, **settings: str) -> Executor:
    executor = await scene.ready(**settings)
    executor.pressures = TELLS
    await scene.await_node(is_shutting_down)
    return executor


async def test_the_condition_tells_of_the_shutdown_and_the_lease_goes_on(scene: Scene) -> None:
    await shutting_down(scene)
    await scene.await_renewal()
    assert is_shutting_down(await scene.await_node(lambda _node: True))


async def test_nothing_new_is_scheduled_there(scene: Scene) -> None:
    await shutting_down(scene)

    def is_tainted(node: dict[str, Any]) -> bool:
        taints = {(each["key"], each["effect"]) for each in node["spec"]["taints"]}
        return ("node.kubernetes.io/not-ready", "NoSchedule") in taints

    await scene.await_node(is_tainted)


async def test_another_start_of_the_executor_makes_the_node_ready_again(scene: Scene) -> None:
    await shutting_down(scene)
    scene.speaking.pop(0).cancel()
    again = scene.life(start_count=2)
    await again.granted()
    scene.beating(again)
    await scene.await_node(is_ready)


async def test_a_registrar_that_starts_does_not_take_the_node_for_ready_before_it_beats(
    scene: Scene,
) -> None:
    executor = await shutting_down(scene, status_report_s="1")
    scene.speaking.pop(0).cancel()  # the beats
    scene.kill_registrars()
    before = conditions(await scene.await_node(is_shutting_down))["Ready"]
    scene.registrar(status_report_s="1", beat_fresh_s="30")
    assert (await executor.register()).holder == executor.incarnation

    def is_written(node: dict[str, Any]) -> bool:
        return bool(conditions(node)["Ready"]["lastHeartbeatTime"] > before["lastHeartbeatTime"])

    written = conditions(await scene.await_node(is_written))["Ready"]
    assert written["message"] == before["message"]
    assert written["lastTransitionTime"] == before["lastTransitionTime"]
