"""Who holds a Node's name in a real cluster, across restarts, clones and leaders."""

import signal
from collections.abc import Awaitable

import pytest
from registrar_peers import FACTS, eventually, life
from registrar_process import Registrar
from registrar_scene import (
    COMPANION,
    NODE,
    Scene,
    conditions,
    is_ready,
    is_released,
    is_settled,
)

from contract.errors import CommandError
from servicekit.errors import BusUnavailableError

ELECTED = {
    "election": "on",
    "election_lease_s": "2",
    "election_renew_deadline_s": "1.5",
    "election_retry_s": "0.3",
}


async def test_a_node_of_a_living_kubelet_is_left_alone(scene: Scene) -> None:
    scene.api.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3"},
    }
    scene.api.patch(f"{scene.path}/status", {"status": status})
    scene.registrar()
    with pytest.raises(CommandError) as refusal:
        await scene.life().register()
    assert refusal.value.code == 409
    assert "belongs to a running kubelet v1.36.3" in refusal.value.message
    with pytest.raises(CommandError):
        await scene.life().ask()
    node = await scene.await_node(is_ready)
    assert "wasmlet.dev/incarnation" not in node["metadata"].get("annotations", {})
    assert list(conditions(node)) == ["Ready"]


async def test_a_released_node_that_is_deleted_stays_deleted(scene: Scene) -> None:
    executor = await scene.ready()
    await scene.keep_companion()
    await executor.release()
    await scene.await_node(is_released)
    scene.api.delete(scene.path)
    await scene.companion_comes_back()
    for _ in range(3):
        await scene.await_renewal(COMPANION)
    assert scene.api.find(scene.path) is None


async def test_a_dead_holder_is_replaced_and_the_grant_is_recorded_first(scene: Scene) -> None:
    scene.registrar()
    await scene.life().register()
    scene.server.healthy = False
    await scene.server.announce(NODE)
    heir = scene.life("heir")
    assert (await heir.ask()).holder == life()
    await heir.granted()
    node = scene.api.get(scene.path)
    assert node["metadata"]["annotations"]["wasmlet.dev/incarnation"] == "heir/1"


async def test_a_restart_keeps_the_grant_and_flips_nothing(scene: Scene) -> None:
    holder = await scene.ready()
    before = await scene.await_node(is_settled)
    scene.registrars[0].kill()
    scene.registrar()
    # A clone that comes first must not be faster than what is recorded.
    assert (await scene.life("clone").register()).holder == holder.incarnation
    await scene.await_renewal()
    await scene.await_renewal()
    after = await scene.await_node(is_ready)
    assert conditions(after) == conditions(before)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    # The executor has not registered again, and pods ask for the size of its machine.
    (grant,) = (each for each in await scene.server.grants() if each.node == NODE)
    assert grant.facts is not None
    assert grant.facts.allocatable_memory_bytes == FACTS.allocatable_memory_bytes


async def test_of_two_replicas_one_leads_and_the_other_takes_over(scene: Scene) -> None:
    first = scene.registrar(**ELECTED)
    await eventually(lambda: leads(first))
    second = scene.registrar(**ELECTED)
    executor = scene.life()
    await executor.register()
    scene.beating(executor)
    scene.announcing()
    before = await scene.await_node(is_settled)
    assert not second.records("registrar.leading")
    first.kill()
    await eventually(lambda: leads(second))
    await scene.await_renewal()
    await executor.granted()
    after = await scene.await_node(is_ready)
    assert conditions(after)["Ready"] == conditions(before)["Ready"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_a_leader_that_stops_gives_its_leadership_back(scene: Scene) -> None:
    first = scene.registrar(**(ELECTED | {"election_lease_s": "30"}))
    await eventually(lambda: leads(first))
    second = scene.registrar(**ELECTED)
    assert first.stop() == 0
    await eventually(lambda: leads(second), within_s=10)


async def test_a_frozen_leader_answers_nobody_with_old_news(scene: Scene) -> None:
    first = scene.registrar(**ELECTED)
    former, heir = scene.life("former"), scene.life("heir")
    await former.register()
    first.signal(signal.SIGSTOP)
    # Only the frozen one has heard this question.
    question = scene.tasks.create_task(refusal_of(former.ask(timeout_s=55)))
    second = scene.registrar(**ELECTED)
    await eventually(lambda: leads(second))
    await eventually(lambda: is_served(scene))
    await former.release()
    await heir.granted()
    assert not question.done()
    first.signal(signal.SIGCONT)
    assert (await question).code == 503
    await eventually(lambda: has_logged(first, "leadership.lost"))
    assert (await former.ask()).holder == heir.incarnation


async def refusal_of(question: Awaitable[object]) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        await question
    return refusal.value


async def is_served(scene: Scene) -> bool:
    """Whether the bus knows of all that a leader serves; this is the last of it."""
    try:
        await scene.server.grants()
    except BusUnavailableError:
        return False
    return True


async def leads(which: Registrar) -> bool:
    return await has_logged(which, "registrar.leading")


async def has_logged(which: Registrar, event: str) -> bool:
    return bool(which.records(event))
