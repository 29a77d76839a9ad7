"""A Wasm Node beside a machine's own Node, in a real cluster: it comes, stops and goes with it."""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.api import STRATEGIC_MERGE, Api
from registrar_peers import eventually
from registrar_scene import NODE, TAINTS, Scene, is_ready, own_taints

from contract.errors import CommandError
from controlplane import ControlPlane

PREFIX = "node-"
HOST = NODE.removeprefix(PREFIX)
HOST_PATH = f"/api/v1/nodes/{HOST}"
HOLD = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
LEAVING = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}
DRAINING = {"key": "wasmlet.dev/host-leaving", "effect": "NoExecute"}


@pytest.fixture
def host(api: Api) -> Iterator[dict[str, Any]]:
    """The Node of a machine, with a kubelet of its own that says it is well."""
    node = api.create("/api/v1/nodes", {"metadata": {"name": HOST, "labels": {"a": "b"}}})
    status = {
        "nodeInfo": dict.fromkeys(
            (
                *("machineID", "systemUUID", "bootID", "kernelVersion", "osImage"),
                *("containerRuntimeVersion", "kubeProxyVersion", "operatingSystem"),
                "architecture",
            ),
            "",
        )
        | {"kubeletVersion": "v1.36.3"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    api.patch(f"{HOST_PATH}/status", {"status": status})
    yield node
    api.delete(HOST_PATH)


async def await_host(scene: Scene, holds: Callable[[dict[str, Any]], object]) -> None:
    async def ask() -> bool:
        return bool(holds(await asyncio.to_thread(scene.api.get, HOST_PATH)))

    await eventually(ask)


def is_cordoned(node: dict[str, Any]) -> bool:
    return bool(node["spec"].get("unschedulable"))


async def test_a_node_is_its_hosts_and_goes_with_it(scene: Scene, host: dict[str, Any]) -> None:
    executor = await scene.ready(host_prefix=PREFIX)
    node = await scene.await_node(is_ready)
    (owner,) = node["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Node", HOST, host["metadata"]["uid"])
    assert node["spec"]["providerID"] == f"wasmlet://{NODE}"

    scene.api.delete(HOST_PATH)

    async def gone() -> bool:
        return await asyncio.to_thread(scene.api.find, scene.path) is None

    # Its executor lives and beats, and yet it is not created anew.
    await eventually(gone)
    registrar = scene.registrars[0]

    async def complained() -> bool:
        assert registrar.records("node.uncreated"), registrar.output()[-4000:]
        return True

    await eventually(complained)
    assert await gone()
    await executor.ask()  # it still has the name

    again = scene.api.create("/api/v1/nodes", {"metadata": {"name": HOST}})
    back = await scene.await_node(is_ready)
    assert back["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]


async def test_a_name_without_a_host_is_not_granted(scene: Scene) -> None:
    scene.registrar(host_prefix=PREFIX)
    with pytest.raises(CommandError, match=f"there is no Node {HOST}"):
        await scene.life().register()


async def test_a_cordon_of_the_host_comes_and_goes(scene: Scene, host: dict[str, Any]) -> None:
    assert host
    await scene.ready(host_prefix=PREFIX)
    scene.api.patch(HOST_PATH, {"spec": {"unschedulable": True}})
    await scene.await_node(is_cordoned)
    scene.api.patch(HOST_PATH, {"spec": {"unschedulable": None}})
    await scene.await_node(lambda node: not is_cordoned(node))
    await scene.await_node(lambda node: own_taints(node) == TAINTS)


async def test_a_host_that_is_taken_away_drains_its_node(
    scene: Scene, host: dict[str, Any]
) -> None:
    assert host
    await scene.ready(host_prefix=PREFIX)
    scene.api.patch(HOST_PATH, {"spec": {"taints": [LEAVING]}})
    await scene.await_node(lambda node: DRAINING in node["spec"]["taints"])
    scene.api.patch(HOST_PATH, {"spec": {"taints": None}})
    await scene.await_node(lambda node: own_taints(node) == TAINTS)


async def test_the_host_is_held_while_there_are_pods(scene: Scene, host: dict[str, Any]) -> None:
    assert host
    executor = await scene.ready(host_prefix=PREFIX)
    executor.pods = 2
    await await_host(scene, lambda node: node["metadata"]["annotations"].get(HOLD) == "true")
    executor.pods = 0
    await await_host(scene, lambda node: HOLD not in node["metadata"]["annotations"])


def test_a_registrar_may_not_change_the_node_of_a_kubelet(
    control_plane: ControlPlane, kubeconfig: Path, host: dict[str, Any]
) -> None:
    """Its role could: the admission policy beside it is what holds."""
    assert host

    def told(patch: dict[str, Any]) -> str:
        asked = ("patch", "node", HOST, "-p", json.dumps(patch))
        answer = control_plane.kubectl(*asked, kubeconfig=kubeconfig, check=False)
        return answer.stderr or answer.stdout

    assert "patched" in told({"metadata": {"annotations": {HOLD: "true"}}})
    refusal = "wasmlet writes its own Nodes"
    assert refusal in told({"spec": {"unschedulable": True}})
    assert refusal in told({"metadata": {"labels": {"a": "c"}}})
    assert refusal in told({"metadata": {"annotations": {"wasmlet.dev/incarnation": "e1/1"}}})
    assert refusal in told({"metadata": {"finalizers": ["wasmlet.dev/mine"]}})
    assert refusal in status_told(control_plane)


def status_told(plane: ControlPlane) -> str:
    """What the registrar hears when it writes the status of a kubelet's Node, unread."""
    account = ("node-registrar", "--namespace=wasmlet-system")
    token = plane.kubectl("create", "token", *account).stdout.strip()
    return httpx.patch(
        f"{plane.server}{HOST_PATH}/status",
        headers={"Authorization": f"Bearer {token}", "Content-Type": STRATEGIC_MERGE},
        content=json.dumps({"status": {"phase": "Terminated"}}),
        verify=ssl.create_default_context(cafile=str(plane.authority)),
        trust_env=False,
    ).text
