"""The way of a pod: from a registry, through the scheduler, onto a Node, and off again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")


def test_each_node_is_ready_and_says_what_it_is(api: Api, wasmlet_up: RunningWasmlet) -> None:
    for name in wasmlet_up.nodes:
        node = api.get(f"/api/v1/nodes/{name}")
        conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        labels = node["metadata"]["labels"]
        assert labels["kubernetes.io/arch"] == "wasm32-wasi"
        assert labels["kubernetes.io/os"] == "wasi"
        effects = {each["effect"] for each in node["spec"]["taints"]}
        assert effects == {"NoSchedule", "NoExecute"}
        lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")
        assert lease["spec"]["holderIdentity"] == name


def test_a_module_from_the_registry_runs_and_kubectl_shows_its_lines(
    pods: Pods, images: Images
) -> None:
    image = images.push(guests.prints("hello\nfrom wasm\n", stderr="and stderr\n"), "hello")
    pods.run("hello", image)
    ended = pods.await_phase("hello", "Succeeded")
    assert pods.logs("hello") == "hello\nfrom wasm\nand stderr\n"
    (status,) = ended["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 0
    assert status["state"]["terminated"]["reason"] == "Completed"
    assert images.manifest_digest("hello") in status["imageID"]


def test_exit_code_3_is_failed_with_exit_code_3(pods: Pods, images: Images) -> None:
    pods.run("three", images.push(guests.exits(3), "three"))
    pods.await_phase("three", "Failed")
    terminated = pods.container("three")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")


def test_a_user_finds_the_usual_events(pods: Pods, images: Images) -> None:
    image = images.push(guests.sleeps(), "events")
    pods.run("events", image, imagePullPolicy="Always")
    pods.await_phase("events", "Running")

    def reasons() -> list[str]:
        found = [reason for reason, _ in pods.events("events")]
        assert {"Scheduled", "Pulling", "Pulled", "Created", "Started"} <= set(found)
        return found

    eventually(reasons)
    pods.delete("events")
    eventually(lambda: "Killing" in [reason for reason, _ in pods.events("events")])


def test_kubectl_wait_sees_the_pod_ready(
    pods: Pods, images: Images, control_plane: ControlPlane
) -> None:
    pods.run("ready", images.push(guests.sleeps(), "ready"))
    namespace = f"--namespace={pods.namespace}"
    control_plane.kubectl("wait", namespace, "--for=condition=Ready", "pod/ready", "--timeout=30s")
    assert pods.conditions("ready") == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    status = pods.get("ready")["status"]
    assert status["podIP"]
    assert status["hostIP"]
    assert status["startTime"]
    assert status["observedGeneration"] == 1
    assert pods.container("ready")["containerID"].startswith("wasmtime://")


def test_command_arguments_and_environment_reach_the_guest(pods: Pods, images: Images) -> None:
    pods.run(
        "arguments",
        images.push(guests.shows_arguments(), "arguments"),
        command=["first"],
        args=["second", "third one", "$(GREETING)"],
        env=[{"name": "GREETING", "value": "hi"}],
    )
    pods.run(
        "environment",
        images.push(guests.shows_environment(), "environment"),
        env=[
            {"name": "PLAIN", "value": "a=b"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    )
    pods.await_phase("arguments", "Succeeded")
    assert pods.logs("arguments").splitlines() == ["first", "second", "third one", "hi"]
    shown = pods.await_phase("environment", "Succeeded")
    lines = dict(line.split("=", 1) for line in pods.logs("environment").splitlines())
    assert lines["PLAIN"] == "a=b"
    assert lines["NAME"] == "environment"
    assert lines["NODE"] == shown["spec"]["nodeName"]
    assert lines["IP"] == shown["status"]["podIP"]


def test_on_failure_restarts_with_back_off(pods: Pods, images: Images) -> None:
    manifest = pod("again", images.push(guests.prints("tried\n", exit_code=1), "again"))
    manifest["spec"]["restartPolicy"] = "OnFailure"
    pods.create(manifest)
    waiting = pods.await_waiting("again", "CrashLoopBackOff")
    assert waiting["message"].startswith("back-off ")
    status = pods.container("again")
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["restartCount"] >= 1
    assert pods.get("again")["status"]["phase"] == "Running"
    assert pods.logs("again", "--previous") == "tried\n"
    eventually(lambda: "BackOff" in [reason for reason, _ in pods.events("again")])


def only_on(nodes: Sequence[str]) -> dict[str, Any]:
    """An affinity for these Nodes: pods are spread over all that they may go to, gone ones too."""
    names = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [names]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def test_a_deployment_becomes_available_over_two_nodes(
    pods: Pods, images: Images, control_plane: ControlPlane, api: Api, wasmlet_up: RunningWasmlet
) -> None:
    template = pod("unused", images.push(guests.sleeps(), "deployment"))
    template["metadata"] = {"labels": {"app": "sleeper"}}
    del template["spec"]["restartPolicy"]
    template["spec"]["affinity"] = only_on(wasmlet_up.nodes)
    template["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "sleeper"}},
        }
    ]
    api.create(
        f"/apis/apps/v1/namespaces/{pods.namespace}/deployments",
        {
            "metadata": {"name": "sleeper"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "sleeper"}},
                "template": {"metadata": template["metadata"], "spec": template["spec"]},
            },
        },
    )
    control_plane.kubectl(
        "wait",
        f"--namespace={pods.namespace}",
        "--for=condition=Available",
        "deployment/sleeper",
        "--timeout=40s",
    )
    nodes = sorted(each["spec"]["nodeName"] for each in pods.all())
    assert len(nodes) == 3
    assert set(nodes) == set(wasmlet_up.nodes)
    api.delete(f"/apis/apps/v1/namespaces/{pods.namespace}/deployments/sleeper")


def test_deleting_a_plain_pod_does_not_wait_out_its_grace(pods: Pods, images: Images) -> None:
    pods.run("plain", images.push(guests.sleeps(), "plain"))
    pods.await_phase("plain", "Running")
    pods.delete("plain", grace_s=30)
    eventually(lambda: pods.is_gone("plain"), within_s=10)


def test_a_guest_that_drains_and_leaves_is_gone_early(pods: Pods, images: Images) -> None:
    manifest = pod("drains", images.push(guests.drains(leaves=True), "drains"))
    manifest["metadata"]["annotations"] = {"wasmlet.dev/drain": "stdin-eof"}
    pods.create(manifest)
    pods.await_phase("drains", "Running")
    eventually(lambda: pods.logs("drains") == "waiting\n")
    pods.delete("drains", grace_s=30)
    eventually(lambda: pods.is_gone("drains"), within_s=10)


def test_a_guest_that_drains_and_stays_is_killed_at_the_end_of_its_grace(
    pods: Pods, images: Images
) -> None:
    manifest = pod("stays", images.push(guests.drains(leaves=False), "stays"))
    manifest["metadata"]["annotations"] = {"wasmlet.dev/drain": "stdin-eof"}
    manifest["metadata"]["finalizers"] = ["wasmlet.dev/a-test-reads-the-end"]
    pods.create(manifest)
    pods.await_phase("stays", "Running")
    pods.delete("stays", grace_s=3)
    eventually(lambda: pods.logs("stays") == "waiting\ndraining\n", within_s=2.5)
    ended = pods.await_phase("stays", "Failed")
    terminated = pods.container("stays")["state"]["terminated"]
    assert terminated["exitCode"] == 137
    # metadata.deletionTimestamp is the time of the request plus the grace, in whole seconds.
    deadline = datetime.fromisoformat(ended["metadata"]["deletionTimestamp"])
    finished = datetime.fromisoformat(terminated["finishedAt"])
    assert abs((finished - deadline).total_seconds()) <= 1


def test_a_pod_of_the_same_name_is_another_pod(pods: Pods, images: Images) -> None:
    image = images.push(guests.prints("first\n"), "same-name", "v1")
    other = images.push(guests.prints("second\n"), "same-name", "v2")
    uids = []
    for each in (image, other):
        pods.run("same", each)
        uids.append(pods.await_phase("same", "Succeeded")["metadata"]["uid"])
        shown = pods.logs("same")
        pods.delete("same")
        eventually(lambda: pods.is_gone("same"))
    assert shown == "second\n"
    assert uids[0] != uids[1]


def test_a_field_that_is_not_built_fails_the_pod_with_its_name(pods: Pods, images: Images) -> None:
    image = images.push(guests.sleeps(), "unbuilt")
    manifest = pod("unbuilt", image, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    manifest["spec"]["volumes"] = [{"name": "v", "nfs": {"server": "s", "path": "/"}}]
    pods.create(manifest)
    failed = pods.await_phase("unbuilt", "Failed")
    assert "spec.volumes[0].nfs: " in failed["status"]["message"]
    assert "Started" not in [reason for reason, _ in pods.events("unbuilt")]


def test_restarts_of_a_pod_that_always_restarts_are_counted(pods: Pods, images: Images) -> None:
    manifest = pod("always", images.push(guests.exits(0), "always"))
    manifest["spec"]["restartPolicy"] = "Always"
    pods.create(manifest)
    pods.await_waiting("always", "CrashLoopBackOff")
    terminated = pods.container("always")["lastState"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")


def test_numbers_in_a_log_are_complete_and_in_order(pods: Pods, images: Images) -> None:
    pods.run("counts", images.push(guests.counts(0, up_to=20_000), "counts-to-20000"))
    pods.await_phase("counts", "Succeeded")
    # Compared before the assertion: pytest would explain the difference line by line.
    is_whole = pods.logs("counts") == guests.numbered(1, 20_000)
    assert is_whole
