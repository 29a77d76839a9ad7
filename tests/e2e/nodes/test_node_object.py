"""The Node object in a real cluster: whole from the first second, and written only when due."""

import asyncio
from typing import Any

from registrar_peers import FACTS, eventually, host_address
from registrar_scene import NODE, TAINTS, Scene, conditions, is_ready, is_settled, own_taints

from controlplane import ControlPlane


async def ready_node(scene: Scene) -> dict[str, Any]:
    """A Node whose executor has registered and whose log-server has announced itself."""
    registrar = scene.registrar(node_labels="team=a,node-role.kubernetes.io/wasm=")

    async def leads() -> bool:
        return bool(registrar.records("registrar.leading"))

    await eventually(leads)
    scene.announcing()
    executor = scene.life()
    assert (await executor.register()).holder == executor.incarnation
    return await scene.await_node(is_ready)


async def test_a_registered_node_has_its_labels_taints_and_grant(scene: Scene) -> None:
    node = await ready_node(scene)
    meta = node["metadata"]
    assert meta["annotations"]["wasmlet.dev/incarnation"] == "e1/1"
    attach = "volumes.kubernetes.io/controller-managed-attach-detach"
    assert meta["annotations"][attach] == "true"
    assert meta["labels"] == {
        "kubernetes.io/hostname": NODE,
        "kubernetes.io/os": "wasi",
        "kubernetes.io/arch": "wasm32-wasi",
        "beta.kubernetes.io/os": "wasi",
        "beta.kubernetes.io/arch": "wasm32-wasi",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
        "team": "a",
        "node-role.kubernetes.io/wasm": "",
    }
    assert own_taints(node) == TAINTS
    (granted,) = await scene.server.grants()
    assert granted.host_ip == host_address()
    assert granted.node_uid == meta["uid"]


async def test_an_announced_node_is_ready_with_its_whole_status(scene: Scene) -> None:
    node = await ready_node(scene)
    status = node["status"]
    assert [each["type"] for each in status["conditions"]] == [
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "Ready",
    ]
    assert conditions(node)["Ready"]["message"] == "kubelet is posting ready status"
    assert status["addresses"] == [
        {"type": "InternalIP", "address": host_address()},
        {"type": "Hostname", "address": NODE},
    ]
    assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] == scene.server.port
    assert status["capacity"]["pods"] == "110"
    assert status["allocatable"]["cpu"] == "1900m"
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3-wasmlet.0.1.0"
    assert status["runtimeHandlers"] == [{"name": ""}, {"name": "wasi"}]


async def test_the_api_server_reaches_a_node_whose_address_is_an_external_one(
    scene: Scene, control_plane: ControlPlane
) -> None:
    """As kindnet needs it, which routes pods by InternalIPs."""
    await scene.ready(address_type="ExternalIP")
    node = await scene.await_node(is_ready)
    assert node["status"]["addresses"][0] == {"type": "ExternalIP", "address": host_address()}
    healthz = f"/api/v1/nodes/{NODE}/proxy/healthz"
    answer = await asyncio.to_thread(control_plane.kubectl, "get", "--raw", healthz)
    assert answer.stdout == "ok"


async def test_the_scheduler_finds_the_node_untainted_by_the_cluster(scene: Scene) -> None:
    await scene.ready()
    await scene.await_node(lambda node: node["spec"]["taints"] == TAINTS)


async def test_an_idle_node_is_not_written(scene: Scene) -> None:
    await scene.ready()
    quiet = await scene.await_node(is_settled)
    await scene.await_renewal()
    await scene.await_renewal()
    node = await scene.await_node(is_ready)
    assert conditions(node) == conditions(quiet)
    assert node["metadata"]["resourceVersion"] == quiet["metadata"]["resourceVersion"]


async def test_without_any_change_the_status_is_still_written_when_due(scene: Scene) -> None:
    await scene.ready(status_report_s="1")
    before = conditions(await scene.await_node(is_ready))["Ready"]

    def is_later(node: dict[str, Any]) -> bool:
        return bool(conditions(node)["Ready"]["lastHeartbeatTime"] > before["lastHeartbeatTime"])

    later = conditions(await scene.await_node(is_later))["Ready"]
    assert later["lastTransitionTime"] == before["lastTransitionTime"]


async def test_the_events_are_the_kubelets(scene: Scene) -> None:
    await scene.ready()
    status = f"Node {NODE} status is now: "

    async def said() -> bool:
        found = await asyncio.to_thread(scene.events)
        return set(found) >= {
            ("Normal", "Starting", "Starting kubelet."),
            ("Normal", "NodeHasSufficientMemory", f"{status}NodeHasSufficientMemory"),
            ("Normal", "NodeHasNoDiskPressure", f"{status}NodeHasNoDiskPressure"),
            ("Normal", "NodeHasSufficientPID", f"{status}NodeHasSufficientPID"),
            ("Normal", "NodeReady", f"{status}NodeReady"),
        }

    await eventually(said)


async def test_a_node_deleted_by_hand_comes_back_whole(scene: Scene) -> None:
    await scene.ready(node_labels="team=a")
    before = await scene.await_node(is_ready)
    scene.api.delete(scene.path)
    uid = before["metadata"]["uid"]
    node = await scene.await_node(lambda each: each["metadata"]["uid"] != uid and is_ready(each))
    assert node["metadata"]["labels"] == before["metadata"]["labels"]
    assert own_taints(node) == TAINTS
    assert node["metadata"]["annotations"]["wasmlet.dev/incarnation"] == "e1/1"

    async def owned_anew() -> bool:
        owners = (await scene.lease())["metadata"]["ownerReferences"]
        return [each["uid"] for each in owners] == [node["metadata"]["uid"]]

    await eventually(owned_anew)

    async def published() -> bool:
        return bool(scene.server.granted[-1].node_uid == node["metadata"]["uid"])

    await eventually(published)


async def test_a_label_that_the_kubelet_insists_on_is_put_right(scene: Scene) -> None:
    await scene.ready(node_labels="team=a")
    labels = {"kubernetes.io/arch": "amd64", "team": None, "mine": "stays"}
    scene.api.patch(scene.path, {"metadata": {"labels": labels}})

    def is_right(node: dict[str, Any]) -> bool:
        return bool(node["metadata"]["labels"]["kubernetes.io/arch"] == "wasm32-wasi")

    node = await scene.await_node(is_right)
    assert node["metadata"]["labels"]["mine"] == "stays"
    assert "team" not in node["metadata"]["labels"]


async def test_a_node_found_is_adopted_without_its_taints(scene: Scene) -> None:
    scene.api.create("/api/v1/nodes", {"metadata": {"name": NODE, "labels": {"mine": "stays"}}})
    await scene.ready(node_labels="team=a")
    node = await scene.await_node(is_ready)
    assert node["metadata"]["labels"]["mine"] == "stays"
    assert node["metadata"]["labels"]["team"] == "a"
    assert node["metadata"]["labels"]["kubernetes.io/arch"] == "wasm32-wasi"
    assert node["metadata"]["annotations"]["wasmlet.dev/incarnation"] == "e1/1"
    assert node["status"]["capacity"]["pods"] == "110"
    assert own_taints(node) == []


async def test_a_loopback_address_is_not_written_and_the_node_says_so(scene: Scene) -> None:
    registrar = scene.registrar()
    executor = scene.life()
    await executor.register()
    scene.beating(executor)
    await scene.server.announce(NODE, address="127.0.0.1")

    def says_so(node: dict[str, Any]) -> bool:
        return "127.0.0.1 is a loopback address" in conditions(node)["Ready"]["message"]

    node = await scene.await_node(says_so)
    assert not is_ready(node)
    assert not node["status"].get("addresses")
    assert (await scene.server.grants())[0].host_ip == ""
    assert registrar.records("address.refused")
    await scene.server.announce(NODE)
    await scene.await_node(is_ready)


async def test_pressure_shows_and_passes(scene: Scene) -> None:
    executor = await scene.ready()
    executor.pressures = {"memory_pressure": True}

    def pressed(node: dict[str, Any]) -> bool:
        return bool(conditions(node)["MemoryPressure"]["status"] == "True")

    node = await scene.await_node(pressed)
    assert conditions(node)["MemoryPressure"]["reason"] == "KubeletHasInsufficientMemory"
    assert is_ready(node)
    executor.pressures = {}
    await scene.await_node(lambda each: not pressed(each))


async def test_new_facts_reach_the_node(scene: Scene) -> None:
    executor = await scene.ready()
    executor.facts = type(FACTS)(
        cpu_millis=4000,
        memory_bytes=FACTS.memory_bytes,
        ephemeral_storage_bytes=FACTS.ephemeral_storage_bytes,
        pods=1000,
        allocatable_cpu_millis=4000,
        allocatable_memory_bytes=FACTS.allocatable_memory_bytes,
        boot_id="boot-2",
        runtimes=("wasi", "wasi-http"),
    )
    await executor.ask()
    node = await scene.await_node(lambda each: each["status"]["capacity"]["cpu"] == "4")
    assert node["status"]["runtimeHandlers"][-1] == {"name": "wasi-http"}

    async def said() -> bool:
        found = await asyncio.to_thread(scene.events)
        return ("Warning", "Rebooted", f"Node {NODE} has been rebooted, boot id: boot-2") in found

    await eventually(said)
