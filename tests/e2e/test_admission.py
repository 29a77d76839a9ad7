"""Pods that name their node themselves are judged by it, in the kubelet's reasons and words."""

import re
from typing import Any

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

NODE = "e2e-1"
ROOM = r"Node didn't have enough resource: {}, requested: {}, used: \d+, capacity: \d+"


@pytest.fixture(autouse=True)
def running(wasmlet_up: RunningWasmlet) -> None:
    assert wasmlet_up.process.is_running


def bound(name: str, image: str = "nobody.example/never:1", **spec: Any) -> dict[str, Any]:
    """A pod that no scheduler sees."""
    manifest = pod(name, image)
    manifest["spec"] |= {"nodeName": NODE, **spec}
    return manifest


def requesting(name: str, resource: str, amount: str) -> dict[str, Any]:
    manifest = bound(name)
    manifest["spec"]["containers"][0]["resources"] = {"requests": {resource: amount}}
    return manifest


def is_rejected(pods: Pods, name: str, reason: str, message: str) -> None:
    """In the status and in an Event; `message` is a regular expression."""
    status = pods.await_phase(name, "Failed")["status"]
    assert status["reason"] == reason
    assert re.fullmatch(f"Pod was rejected: {message}", status["message"]), status
    told = eventually(lambda: [text for why, text in pods.events(name) if why == reason])
    assert told == [status["message"].removeprefix("Pod was rejected: ")]


@pytest.mark.parametrize(
    ("resource", "amount", "figure"),
    [
        ("cpu", "4k", "4000000"),
        ("memory", "1Pi", str(2**50)),
        ("ephemeral-storage", "1E", str(10**18)),
    ],
)
def test_a_pod_that_is_too_big(pods: Pods, resource: str, amount: str, figure: str) -> None:
    pods.create(requesting("big", resource, amount))
    is_rejected(pods, "big", f"OutOf{resource}", ROOM.format(resource, figure))


def test_a_pod_for_nodes_with_another_label(pods: Pods) -> None:
    pods.create(bound("elsewhere", nodeSelector={"disk": "fast"}))
    words = r"Predicate NodeAffinity failed: node\(s\) didn't match Pod's node affinity/selector"
    is_rejected(pods, "elsewhere", "NodeAffinity", words)


def test_a_pod_for_another_operating_system(pods: Pods) -> None:
    pods.create(bound("linux", os={"name": "linux"}))
    words = "Failed to admit pod as the OS field doesn't match node OS"
    is_rejected(pods, "linux", "PodOSNotSupported", words)


def test_a_pod_that_does_not_tolerate_the_node(pods: Pods) -> None:
    """The controller for taints deletes it, too, and may be first; so there is more than one."""
    words = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    names: list[str] = []

    def told() -> bool:
        names.append(f"intolerant-{len(names)}")
        manifest = bound(names[-1])
        del manifest["spec"]["runtimeClassName"]
        pods.create(manifest)
        eventually(lambda: pods.is_gone(names[-1]))
        return any(("TaintToleration", words) in pods.events(name) for name in names)

    eventually(told)


def test_two_pods_for_one_port_of_the_node(pods: Pods, images: Images) -> None:
    image = images.push(guests.counts(50), "holds-a-port")
    for name in ("first", "second"):
        manifest = bound(name, image, hostNetwork=True)
        manifest["spec"]["containers"][0]["ports"] = [{"containerPort": 31999}]
        pods.create(manifest)
        if name == "first":
            pods.await_phase(name, "Running")
    words = r"node\(s\) didn't have free ports for the requested pod ports"
    is_rejected(pods, "second", "NodePorts", f"Predicate NodePorts failed: {words}")
    assert pods.get("first")["status"]["phase"] == "Running"


def test_fields_that_are_refused_are_named(pods: Pods) -> None:
    pods.create(bound("odd", hostPID=True, shareProcessNamespace=False))
    words = "spec.hostPID: a guest sees no processes"
    is_rejected(pods, "odd", "PodFeatureUnsupported", words)


def test_a_misspelt_host_is_refused_before_it_allows_nothing(pods: Pods) -> None:
    misspelt = bound("misspelt")
    misspelt["metadata"]["annotations"] = {"wasmlet.dev/allowed-hosts": "exmaple..com"}
    pods.create(misspelt)
    place = "metadata.annotations['wasmlet.dev/allowed-hosts']"
    words = f"{place}: 'exmaple..com' is not HOST, HOST:PORT or HOST:*, separated by commas"
    is_rejected(pods, "misspelt", "PodFeatureUnsupported", re.escape(words))


@pytest.fixture
def restricted(pods: Pods, api: Api) -> Pods:
    """A namespace that takes only what the Pod Security Standard *restricted* allows."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.patch(f"/api/v1/namespaces/{pods.namespace}", {"metadata": {"labels": labels}})
    return pods


def test_a_pod_that_pod_security_calls_restricted_runs(restricted: Pods, images: Images) -> None:
    """What the standard asks for holds for any guest; what only means nothing to it is told."""
    manifest = pod("modest", images.push(guests.prints("modest\n"), "modest"))
    manifest["spec"]["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [1000],
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    manifest["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "privileged": False,
    }
    restricted.create(manifest)
    restricted.await_phase("modest", "Succeeded")
    assert restricted.logs("modest") == "modest\n"
    told = eventually(lambda: dict(restricted.events("modest")).get("FieldsIgnored", ""))
    assert {each.partition(":")[0] for each in told.split("; ")} == {
        f"spec.securityContext.{field}"
        for field in (
            "runAsUser",
            "runAsGroup",
            "fsGroup",
            "fsGroupChangePolicy",
            "supplementalGroups",
        )
    }
