"""When a node has ended: its Node is deleted, and nobody is left who speaks for it.

The companion's end shows in each test that time enough has passed for the other one.
"""

import asyncio
import re
from contextlib import suppress

import httpx
from e2e.api import Api
from registrar_peers import Executor, eventually, life
from registrar_process import Registrar
from registrar_scene import COMPANION, NODE, Scene, is_ready, is_released

from contract.ids import NodeName
from contract.messages.node import NodeCheck
from servicekit.errors import BusUnavailableError

NODES = "/api/v1/nodes"


async def has_ended(scene: Scene, node: NodeName = NODE) -> bool:
    """What the registrar answers."""
    answer = await scene.server.bus.request(node, NodeCheck(node=node), timeout_s=5)
    return answer.ended


async def companion_ends(scene: Scene) -> None:
    """Its executor has given it back, and somebody deletes its Node."""
    await asyncio.to_thread(scene.api.delete, f"{NODES}/{COMPANION}")
    await eventually(lambda: has_ended(scene, COMPANION))


async def companion_leaves(scene: Scene) -> None:
    executor = Executor(scene.companion_bus, COMPANION, life("companion"))
    await executor.register()
    await executor.release()


async def kept(registrar: Registrar) -> int:
    """How many nodes the registrar says that it keeps."""
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"{registrar.admin_url()}/metrics")).text
    found = re.search(r"^wasmlet_registrar_nodes (\S+)$", metrics, re.MULTILINE)
    assert found, metrics
    return int(float(found.group(1)))


def silence(scene: Scene) -> None:
    for task in scene.speaking:
        task.cancel()


def uid(api: Api, path: str) -> str:
    return str(api.get(path)["metadata"]["uid"])


async def test_a_node_that_was_given_back_ends_when_its_node_is_deleted_and_may_come_back(
    scene: Scene,
) -> None:
    executor = await scene.ready()
    await companion_leaves(scene)
    (registrar,) = scene.registrars
    assert await kept(registrar) == 2
    scene.speaking[0].cancel()  # the beats; its log-server goes on with saying where it listens
    await executor.release()
    await scene.await_node(is_released)
    await companion_ends(scene)
    assert not await has_ended(scene), "its Node is there"
    before = uid(scene.api, scene.path)
    await asyncio.to_thread(scene.api.delete, scene.path)
    await eventually(lambda: has_ended(scene))
    ended = [each["node"] for each in registrar.records("node.ended")]
    assert ended == [COMPANION, NODE]

    await executor.granted()
    scene.beating(executor)
    assert not await has_ended(scene)
    await scene.await_node(is_ready)
    assert uid(scene.api, scene.path) != before
    assert await kept(registrar) == 1


async def test_a_silent_holder_is_waited_for_while_healthz_answers(scene: Scene) -> None:
    executor = await scene.ready()
    await companion_leaves(scene)
    silence(scene)
    await asyncio.to_thread(scene.api.delete, scene.path)
    await companion_ends(scene)
    assert not await has_ended(scene)
    assert [each.node for each in await scene.server.grants()] == [NODE]
    scene.server.healthy = False

    async def missed() -> bool:
        changes = scene.registrars[0].records("liveness.changed")
        return bool(changes) and changes[-1]["health"] == "failed"

    await eventually(missed)
    await asyncio.to_thread(scene.api.delete, scene.path)  # it was created anew until then
    await eventually(lambda: has_ended(scene))
    assert await scene.server.grants() == ()
    await executor.granted()
    scene.beating(executor)
    await scene.await_node(lambda _: True)


async def test_a_later_registrar_gives_the_same_answer_once_it_has_listened_for_long_enough(
    scene: Scene,
) -> None:
    executor = await scene.ready()
    await companion_leaves(scene)
    silence(scene)
    await executor.release()
    scene.kill_registrars()
    await asyncio.to_thread(scene.api.delete, f"{NODES}/{COMPANION}")
    scene.registrar()

    async def answers() -> str:
        with suppress(BusUnavailableError):
            return f"ended: {await has_ended(scene, COMPANION)}"
        return ""

    # Whoever lives may not have spoken yet.
    assert await eventually(answers) == "ended: False"
    await eventually(lambda: has_ended(scene, COMPANION))
    assert not await has_ended(scene), "its Node is there, whoever knows of it"
