"""`helm install` onto a machine with the real kubelet, containerd, runc and CNI plugins.

What bites only there: images and their users, the memory of the DaemonSet's pod, folders and a port
of the machine, its name and its Node. The tests are one story, in order, on one installation.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from realnode.node import HOST, NODE, RealNode, is_ready

from controlplane import ControlPlane

MEMORY = "768Mi"  # of the executor's container, by conftest.py
WITHIN_S = 120.0
CORDON = "node.kubernetes.io/unschedulable"
LEAVING = "ToBeDeletedByClusterAutoscaler"
PRIVILEGED = "pod-security.kubernetes.io/enforce=privileged"
ON_THE_MACHINE = (
    *("--set", "wasmExecutor.storage.kind=hostPath"),
    *("--set", "wasmExecutor.logs.kind=hostPath"),
    *("--set", "nodePool.kubeletPort.mode=hostPort", "--set", "nodePool.kubeletPort.port=10260"),
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="a real node needs root"),
]


@pytest.fixture(scope="module")
def installed(helm: Helm, own_values: Path) -> Helm:
    """The chart with its default values, in a namespace that enforces *restricted*."""
    helm("install", RELEASE, str(CHART), *installing(own_values))
    return helm


@pytest.fixture(scope="module")
def pods(cluster: ControlPlane, api: Api, installed: Helm) -> Iterator[Pods]:
    assert installed is not None
    cluster.kubectl("create", "namespace", "users")
    eventually(lambda: api.find("/api/v1/namespaces/users/serviceaccounts/default"))
    pods = Pods(cluster, api, "users")
    yield pods
    pods.remove_all()


def of_chart(api: Api) -> dict[str, dict[str, Any]]:
    found = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return {each["metadata"]["name"]: each for each in found}


def executor(api: Api) -> dict[str, Any]:
    """What the real kubelet says of the executor's container."""
    (found,) = (each for name, each in of_chart(api).items() if name.startswith("wasm-node"))
    statuses: list[dict[str, Any]] = found["status"]["containerStatuses"]
    return next(each for each in statuses if each["name"] == "wasm-executor")


def taints(api: Api) -> set[str]:
    return {each["key"] for each in api.get(f"/api/v1/nodes/{NODE}")["spec"].get("taints", [])}


def started(pods: Pods, name: str) -> tuple[int, str]:
    status = pods.container(name)
    return status["restartCount"], status["containerID"]


@pytest.mark.usefixtures("installed")
def test_an_installation_makes_a_node_beside_the_kubelets_own(api: Api) -> None:
    eventually(lambda: is_ready(api, NODE), WITHIN_S)
    assert is_ready(api, HOST)
    made, host = (api.get(f"/api/v1/nodes/{name}") for name in (NODE, HOST))
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["uid"] == host["metadata"]["uid"]
    found = of_chart(api)
    assert len(found) == 6, set(found)  # two of each control service, NATS, the node's
    assert {each["spec"]["nodeName"] for each in found.values()} == {HOST}
    states = [each for pod in found.values() for each in pod["status"]["containerStatuses"]]
    assert {each["restartCount"] for each in states} == {0}, states


@pytest.mark.usefixtures("installed")
def test_the_nodes_capacity_is_its_containers_limit(api: Api) -> None:
    """Whichever version of cgroups this machine has."""
    capacity = api.get(f"/api/v1/nodes/{NODE}")["status"]["capacity"]
    assert (capacity["memory"], capacity["cpu"]) == (MEMORY, "1")


def test_helm_test_runs_a_module(installed: Helm) -> None:
    said = installed("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "Succeeded" in said
    assert "the chart works" in said


def test_a_pods_logs_are_read_through_the_api_server(
    pods: Pods, images: Images, node: RealNode
) -> None:
    pods.create(pod("long", node.seen(images.push(guests.sleeps("here I am\n"), "sleeps"))))
    running = pods.await_phase("long", "Running", WITHIN_S)
    assert running["spec"]["nodeName"] == NODE
    eventually(lambda: pods.logs("long") == "here I am\n")


def test_what_fills_the_containers_memory_ends_and_nothing_else(
    pods: Pods, images: Images, node: RealNode, api: Api
) -> None:
    """A guest without a limit of its own takes what the DaemonSet's container has."""
    before = started(pods, "long")
    pods.create(pod("greedy", node.seen(images.push(guests.grows_memory(), "greedy"))))
    pods.await_phase("greedy", "Failed", WITHIN_S)
    assert pods.container("greedy")["state"]["terminated"]["exitCode"] == 137
    assert started(pods, "long") == before
    assert pods.get("long")["status"]["phase"] == "Running"
    assert executor(api)["restartCount"] == 0
    assert is_ready(api, NODE)


def test_a_cordon_of_the_machine_is_the_nodes_too(
    cluster: ControlPlane, api: Api, pods: Pods
) -> None:
    before = started(pods, "long")
    cluster.kubectl("cordon", HOST)
    eventually(lambda: CORDON in taints(api), WITHIN_S)
    cluster.kubectl("uncordon", HOST)
    eventually(lambda: CORDON not in taints(api), WITHIN_S)
    assert started(pods, "long") == before


def test_a_machine_that_leaves_takes_its_wasm_pods_along(
    cluster: ControlPlane, api: Api, pods: Pods
) -> None:
    cluster.kubectl("taint", "node", HOST, f"{LEAVING}=now:NoSchedule")
    eventually(lambda: pods.is_gone("long"), WITHIN_S)
    cluster.kubectl("taint", "node", HOST, f"{LEAVING}-")
    eventually(lambda: "wasmlet.dev/host-leaving" not in taints(api), WITHIN_S)


@pytest.fixture(scope="module")
def on_the_machine(installed: Helm, cluster: ControlPlane, own_values: Path) -> Helm:
    """The same release with folders and a port of the machine, still without privileges."""
    cluster.kubectl("label", "namespace", NAMESPACE, PRIVILEGED, "--overwrite")
    installed("upgrade", RELEASE, str(CHART), *installing(own_values, *ON_THE_MACHINE))
    return installed


@pytest.mark.usefixtures("on_the_machine")
def test_folders_and_a_port_of_the_machine_are_used(
    pods: Pods, images: Images, node: RealNode, api: Api
) -> None:
    eventually(lambda: is_ready(api, NODE), WITHIN_S)
    eventually(lambda: addresses(api) == {"InternalIP": node.address}, WITHIN_S)
    content = guests.sleeps("on the machine\n")
    stays = pod("stays", node.seen(images.push(content, "stays")))
    stays["spec"]["restartPolicy"] = "Always"
    uid = pods.create(stays)["metadata"]["uid"]
    pods.await_phase("stays", "Running", WITHIN_S)
    eventually(lambda: pods.logs("stays") == "on the machine\n")
    kept = node.folder / "var/log/wasmlet/pods" / f"users_stays_{uid}" / "main" / "0.log"
    assert "on the machine" in kept.read_text()
    assert executor(api)["restartCount"] == 0


def addresses(api: Api) -> dict[str, str]:
    shown = api.get(f"/api/v1/nodes/{NODE}")["status"]["addresses"]
    return {each["type"]: each["address"] for each in shown if each["type"].endswith("IP")}


def test_a_rolled_daemonset_runs_its_pods_again_in_place(
    on_the_machine: Helm, pods: Pods, api: Api, own_values: Path
) -> None:
    before, old = pods.get("stays"), executor(api)["containerID"]
    more = ("--set", "wasmExecutor.settings.BEAT_INTERVAL_S=4")
    on_the_machine("upgrade", RELEASE, str(CHART), *installing(own_values, *ON_THE_MACHINE, *more))
    assert executor(api)["containerID"] != old
    eventually(lambda: started(pods, "stays")[0] == 1, WITHIN_S)
    after = pods.await_phase("stays", "Running", WITHIN_S)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert pods.logs("stays", "--previous") == "on the machine\n"


def test_an_executor_with_privileges_runs_modules_as_well(
    on_the_machine: Helm, api: Api, own_values: Path
) -> None:
    """The profile `node`, under the seccomp and AppArmor settings that the chart asks for."""
    more = ("--set", "privilegeProfile=node")
    on_the_machine("upgrade", RELEASE, str(CHART), *installing(own_values, *more))
    eventually(lambda: is_ready(api, NODE), WITHIN_S)
    said = on_the_machine("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "the chart works" in said
    assert executor(api)["restartCount"] == 0


def test_an_uninstallation_leaves_the_machines_own_node_alone(
    on_the_machine: Helm, pods: Pods, api: Api
) -> None:
    on_the_machine("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=170s")
    assert pods.is_gone("stays")
    eventually(lambda: not of_chart(api), WITHIN_S)
    assert api.find(f"/api/v1/nodes/{NODE}") is None
    host = api.get(f"/api/v1/nodes/{HOST}")
    assert not host["spec"].get("unschedulable")
    marks = {**host["metadata"]["annotations"], **host["metadata"]["labels"]}
    assert not [name for name in marks if "wasmlet" in name or "autoscal" in name]
