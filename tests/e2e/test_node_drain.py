"""`wasmlet node drain`: a node shuts down as gracefully as a kubelet's, and comes back."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import Pod, condition, is_available, uid_of
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.workloads import Kind, Workloads, replicated

from controlplane import ControlPlane, Registry

NAME = "drained"
REPLICAS = 2
ENDED = "Pod was terminated in response to imminent node shutdown."
REFUSED = "Pod was rejected: Pod was rejected as the node is shutting down."


@pytest.fixture(scope="module")
def wasmlet(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    """Two nodes that other tests do not miss."""
    with joined(
        control_plane,
        api,
        tmp_path_factory.mktemp(NAME) / "up",
        node_name=NAME,
        nodes=2,
        registries=[registry.host],
        settings={},
        options=("--node-label", f"for={NAME}"),
    ) as running:
        yield running


@pytest.fixture
def workloads(control_plane: ControlPlane, api: Api, pods: Pods) -> Iterator[Workloads]:
    made = Workloads(control_plane, api, pods)
    yield made
    made.remove_all()


def test_a_drain_that_names_none_of_several_nodes_ends_nothing(wasmlet: RunningWasmlet) -> None:
    done = drain(wasmlet)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"wasmlet: several nodes run here ({', '.join(wasmlet.nodes)})")


def test_a_drained_node_ends_its_pods_for_good_and_is_ready_again_after_a_restart(
    wasmlet: RunningWasmlet, workloads: Workloads, images: Images, api: Api
) -> None:
    first, second = wasmlet.nodes
    image = images.push(guests.sleeps("here\n"), "drain", "sleeps")
    workloads.kubectl("cordon", second)
    begun = start(workloads, image)
    assert {each["spec"]["nodeName"] for each in begun} == {first}
    workloads.kubectl("uncordon", second)

    done = drain(wasmlet, "--node", first, "--grace", "10")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{first}: drained {REPLICAS} pods"
    eventually(lambda: [status_of(each) for each in ended(workloads, begun)] == [ENDED] * REPLICAS)
    for each in ended(workloads, begun):
        target = condition(each, "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
        assert (each["status"]["phase"], each["status"]["reason"]) == ("Failed", "Terminated")
    eventually(lambda: available_on(workloads, second) == REPLICAS)
    told = ("False", "KubeletNotReady", "node is shutting down")
    eventually(lambda: readiness(api, first) == told)
    assert wasmlet.process.is_running

    late = workloads.pods.create(bound_to(first, image))["metadata"]["name"]
    refused = workloads.pods.await_phase(late, "Failed")["status"]
    assert (refused["reason"], refused["message"]) == ("NodeShutdown", REFUSED)
    assert "containerStatuses" not in refused
    workloads.pods.delete(late)
    eventually(lambda: workloads.pods.is_gone(late))

    anatomy = Anatomy(wasmlet)
    anatomy.await_successor(Part.KEEPER, anatomy.kill(Part.KEEPER, first), first)
    eventually(lambda: readiness(api, first)[0] == "True")
    assert [status_of(each) for each in ended(workloads, begun)] == [ENDED] * REPLICAS
    again = workloads.pods.create(bound_to(first, image, "again"))["metadata"]["name"]
    workloads.pods.await_phase(again, "Running")
    assert len(anatomy.containers(first)) == 1
    workloads.pods.delete(again)


def drain(wasmlet: RunningWasmlet, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wasmlet", "node", "drain"]
    command += ["--data-dir", str(wasmlet.data_dir), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


def start(workloads: Workloads, image: str) -> list[Pod]:
    """All pods of a Deployment run, on the nodes of this test."""
    spec = replicated(NAME, image, REPLICAS)
    spec["template"]["spec"]["nodeSelector"] = {"for": NAME}
    workloads.create(Kind.DEPLOYMENT, NAME, spec)
    workloads.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=40s")
    return workloads.pods.all()


def bound_to(node: str, image: str, name: str = "late") -> dict[str, Any]:
    manifest = pod(name, image)
    manifest["spec"]["nodeName"] = node
    return manifest


def ended(workloads: Workloads, begun: list[Pod]) -> list[Pod]:
    """The pods that ran when the drain began, as they are now."""
    uids = {uid_of(each) for each in begun}
    return [each for each in workloads.pods.all() if uid_of(each) in uids]


def status_of(each: Pod) -> str:
    return str(each["status"].get("message", ""))


def available_on(workloads: Workloads, node: str) -> int:
    found = [each for each in workloads.pods.all() if each["spec"].get("nodeName") == node]
    return sum(map(is_available, found))


def readiness(api: Api, node: str) -> tuple[str, str, str]:
    (ready,) = [
        each
        for each in api.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
        if each["type"] == "Ready"
    ]
    return ready["status"], ready["reason"], ready["message"]
