"""Volumes that a Node does not give, and pods that take more than they may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.expectations import eventually, steadily
from e2e.pods import Pods

type Make = Callable[..., dict[str, Any]]

FAILED = 'MountVolume.SetUp failed for volume "v" : '


def host_path(path: object, kind: str = "") -> list[dict[str, Any]]:
    return [{"name": "v", "hostPath": {"path": str(path), "type": kind}}]


@pytest.mark.usefixtures("wasmlet_up")
def test_host_path_is_off_unless_the_node_allows_it(pods: Pods, create: Make, does: Make) -> None:
    reads = does("main", "/v", "r", "hostname", mounts=[("v", "/v")])
    elsewhere = {"kubernetes.io/hostname": "e2e-1"}
    create("off", reads, volumes=host_path("/etc"), nodeSelector=elsewhere)
    told = f"{FAILED}hostPath /etc: this node allows no hostPath volumes"
    eventually(lambda: ("FailedMount", told) in pods.events("off"))
    pods.await_waiting("off", "ContainerCreating")


def test_host_path_shows_what_the_node_allows_and_nothing_else(
    pods: Pods, create: Make, does: Make, host_folder: Path
) -> None:
    (host_folder / "given").write_text("by the node")
    outside = host_folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    (host_folder / "way-out").symlink_to(outside)
    mounts = [("v", "/v")]
    create("on", does("main", "/v", "r", "given", mounts=mounts), volumes=host_path(host_folder))
    made = host_path(host_folder / "made" / "here", "DirectoryOrCreate")
    create("made", does("main", "/v", "w", "file", "by a guest", mounts=mounts), volumes=made)
    reads = does("main", "/v", "r", "given", mounts=mounts)
    refusals = {
        "elsewhere": (outside, "", f"only below {host_folder}"),
        "wrong": (host_folder / "given", "Directory", "hostPath type check failed"),
        "leads-out": (host_folder / "way-out", "", FAILED),
    }
    for name, (path, kind, _) in refusals.items():
        create(name, reads, volumes=host_path(path, kind))
    pods.await_phase("on", "Succeeded")
    assert pods.logs("on") == "by the node"
    pods.await_phase("made", "Succeeded")
    assert (host_folder / "made" / "here" / "file").read_text() == "by a guest"
    for name, (_, _, text) in refusals.items():
        await_refusal(pods, name, text)
        assert pods.get(name)["status"]["phase"] == "Pending"


def await_refusal(pods: Pods, name: str, text: str) -> None:
    def told() -> bool:
        events = pods.events(name)
        return any(reason == "FailedMount" and text in message for reason, message in events)

    eventually(told)


def test_a_volume_without_a_driver_here_is_refused_by_name(
    pods: Pods, create: Make, does: Make
) -> None:
    volume = {"name": "v", "csi": {"driver": "storage.example"}}
    create("csi", does("main", "/v", "r", "f", mounts=[("v", "/v")]), volumes=[volume])
    found = pods.await_phase("csi", "Failed")
    assert "spec.volumes[0].csi" in found["status"]["message"]


def test_single_file_in_another_volume_s_folder_is_told_and_waits(
    pods: Pods, create: Make, does: Make, put: Callable[..., None]
) -> None:
    put("configmaps", "settings", data={"file": "content"})
    mounts = [("e", "/v"), ("v", "/v/file", {"subPath": "file"})]
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "v", "configMap": {"name": "settings"}}]
    create("over", does("main", "/v", "r", "file", mounts=mounts), volumes=volumes)
    waiting = pods.await_waiting("over", "CreateContainerConfigError")
    assert waiting["message"].startswith("/v/file is a single file in /v, where another volume")


def test_pod_that_exceeds_its_size_limit_is_evicted_and_its_neighbour_goes_on(
    pods: Pods, create: Make, does: Make
) -> None:
    limited = [{"name": "v", "emptyDir": {"sizeLimit": "4Ki"}}]
    mounts = [("v", "/v")]
    writes = does("writes", "/v", "w", "file", "x" * 9000, mounts=mounts)
    waits = does("waits", "/v", "c", "still", "x", mounts=mounts)
    begins = does("begins", "/v", "w", "still", "x", mounts=mounts)
    create("over", writes, waits, initContainers=[begins], volumes=limited)
    create("within", waits, initContainers=[begins], volumes=limited)
    found = pods.await_phase("over", "Failed")
    text = 'Usage of EmptyDir volume "v" exceeds the limit "4Ki". '
    assert (found["status"]["reason"], found["status"]["message"]) == ("Evicted", text)
    eventually(lambda: ("Evicted", text) in pods.events("over"))
    assert "DisruptionTarget" not in pods.conditions("over"), "it is the pod's own doing"
    pods.await_phase("within", "Running")
    steadily(lambda: pods.get("within")["status"]["phase"] == "Running", for_s=1.5)
