"""The Lease of a Node: renewed for whom it should be, and let go for nobody else."""

from registrar_peers import Executor, eventually, host_address, joined, life
from registrar_scene import (
    CERTIFICATE,
    COMPANION,
    LEASE_S,
    NODE,
    THIRD,
    Scene,
    conditions,
    is_ready,
    is_released,
)

from contract.subjects import Role


async def test_the_lease_is_the_kubelets(scene: Scene) -> None:
    await scene.ready()
    node = await scene.await_node(is_ready)
    lease = await scene.lease()
    assert lease["spec"]["holderIdentity"] == NODE
    assert lease["spec"]["leaseDurationSeconds"] == LEASE_S
    assert lease["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": node["metadata"]["uid"]}
    ]
    await scene.await_renewal()


async def test_a_released_nodes_lease_ends_and_the_rest_is_the_node_controllers(
    scene: Scene,
) -> None:
    executor = await scene.ready()
    await scene.keep_companion()
    await executor.release()
    node = await scene.await_node(is_released)
    assert not await scene.is_renewed_beside_its_companion()
    # Were it not Ready by us, the controller would leave its pods ready for good.
    assert is_ready(scene.api.get(scene.path))
    unknown = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]
    scene.api.patch(f"{scene.path}/status", {"status": {"conditions": unknown}})
    assert not await scene.is_renewed_beside_its_companion()
    node = await scene.await_node(lambda each: not is_ready(each))
    assert conditions(node)["Ready"]["status"] == "Unknown"  # the node controller's word stands
    heir = scene.life("e2")
    assert (await heir.ask()).holder == heir.incarnation
    scene.beating(heir)
    node = await scene.await_node(is_ready)
    assert node["metadata"]["annotations"]["wasmlet.dev/incarnation"] == "e2/1"
    assert "wasmlet.dev/released" not in node["metadata"]["annotations"]


async def test_a_silent_executor_keeps_its_lease_while_healthz_answers(scene: Scene) -> None:
    scene.registrar()
    await scene.life().register()
    scene.announcing()
    await scene.await_node(is_ready)
    await scene.keep_companion()

    async def asked() -> bool:
        return scene.server.asked >= 2

    await eventually(asked)
    await scene.await_renewal()
    scene.server.healthy = False

    async def asked_again() -> bool:
        return scene.server.asked >= 4

    await eventually(asked_again)
    assert not await scene.is_renewed_beside_its_companion()
    executor = scene.life()
    scene.beating(executor)
    await scene.await_renewal()


async def test_the_lease_outlives_the_bus(scene: Scene) -> None:
    await scene.ready()
    scene.nats.kill()

    async def asked() -> bool:
        return scene.server.asked >= 2

    await eventually(asked)
    await scene.await_renewal()
    assert is_ready(await scene.await_node(is_ready))
    scene.nats.start()
    await scene.await_renewal()


async def test_a_pool_that_falls_silent_as_one_keeps_its_leases_for_a_tolerance(
    scene: Scene,
) -> None:
    """No beat and no `/healthz`: the way to all of them is broken."""
    await scene.ready()
    await scene.keep_companion()
    async with joined(scene.nats, Role.WASM_EXECUTOR, THIRD) as bus:
        executor = Executor(bus, THIRD, life("third"))
        await executor.register()
        scene.beating(executor)
        scene.announcing(THIRD)
        await scene.await_renewal(THIRD)
        scene.server.healthy = False
        scene.nats.kill()
        registrar = scene.registrars[0]

        async def tolerated() -> bool:
            return len(registrar.records("silence.tolerated")) == 3

        await eventually(tolerated)
        for node in (NODE, COMPANION, THIRD):
            await scene.await_renewal(node)
        # One that is silent when the others are back is dead, and let go.
        for task in scene.speaking[:2]:
            task.cancel()
        scene.nats.start()

        async def over() -> bool:
            return len(registrar.records("silence.over")) >= 3

        async def let_go() -> bool:  # the beats that the client had kept come through first
            return not await scene.is_renewed_beside_its_companion()

        await eventually(over)
        await eventually(let_go)
        for task in scene.speaking:
            task.cancel()


async def test_a_restarted_registrar_asks_the_log_server_that_the_node_names(
    scene: Scene,
) -> None:
    await scene.ready()
    await scene.await_node(lambda node: CERTIFICATE in node["metadata"]["annotations"])
    for task in scene.speaking:
        task.cancel()
    scene.registrars[0].kill()
    asked = scene.server.asked
    scene.registrar(node_names=NODE)

    async def asked_again() -> bool:
        return scene.server.asked > asked

    await eventually(asked_again)
    await scene.await_renewal()
    (granted,) = await scene.server.grants()
    assert granted.host_ip == host_address()
