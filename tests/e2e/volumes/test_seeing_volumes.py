"""What containers see of each kind of volume, on a real control plane, byte for byte."""

from collections.abc import Callable
from typing import Any

from e2e.api import Api
from e2e.expectations import eventually, steadily
from e2e.pods import Pods

type Make = Callable[..., dict[str, Any]]

LABELS = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
LIMIT = {
    "path": "limit",
    "resourceFieldRef": {"containerName": "limit", "resource": "limits.memory", "divisor": "1Mi"},
}


def said(pods: Pods, name: str, *containers: str) -> dict[str, str]:
    """What each container wrote, once all have succeeded."""
    pods.await_phase(name, "Succeeded")
    return {each: pods.logs(name, f"--container={each}") for each in containers}


def test_files_of_all_sources_are_seen_under_one_path(
    pods: Pods, create: Make, does: Make, put: Callable[..., None]
) -> None:
    put("configmaps", "settings", data={"color": "blue"}, binaryData={"bytes": "AAEC"})
    put("secrets", "keys", stringData={"key": "t0p"})
    sources: list[dict[str, Any]] = [
        {"configMap": {"name": "settings", "items": [{"key": "color", "path": "deep/er"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": {"items": [LABELS, LIMIT]}},
    ]
    mounts = [("all", "/in")]
    reads = {"config": "deep/er", "secret": "key", "labels": "labels", "limit": "limit"}
    limits = {"resources": {"limits": {"memory": "64Mi"}}}
    containers = [
        does(name, "/in", "r", path, mounts=mounts, **limits) for name, path in reads.items()
    ]
    create("all", *containers, volumes=[{"name": "all", "projected": {"sources": sources}}])
    assert said(pods, "all", *reads) == {
        "config": "blue",
        "secret": "t0p",
        "labels": 'app="all"',
        "limit": "64",
    }


def test_containers_of_a_pod_share_an_empty_dir_of_either_medium(
    pods: Pods, create: Make, does: Make
) -> None:
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]
    first = [
        does(
            f"write-{each['name']}",
            "/w",
            "w",
            "file",
            f"by {each['name']}",
            mounts=[(each["name"], "/w")],
        )
        for each in volumes
    ]
    then = [
        does(f"read-{each['name']}", "/r", "r", "file", mounts=[(each["name"], "/r")])
        for each in volumes
    ]
    create("shares", *then, initContainers=first, volumes=volumes)
    found = said(pods, "shares", "read-disk", "read-memory")
    assert found == {"read-disk": "by disk", "read-memory": "by memory"}


def test_parts_of_volumes_are_seen_alone(pods: Pods, create: Make, does: Make) -> None:
    """A missing `subPath` becomes a folder; `subPathExpr` takes the container's variables."""
    env = [{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    by_name = ("v", "/own", {"subPathExpr": "of/$(WHO)"})
    first = [does("write", "/own", "w", "file", "in its part", mounts=[by_name], env=env)]
    then = [
        does("whole", "/v", "r", "of/parts/file", mounts=[("v", "/v")]),
        does("part", "/v", "r", "file", mounts=[("v", "/v", {"subPath": "of/parts"})]),
        does(
            "file",
            "/deep/in",
            "r",
            "one",
            mounts=[("v", "/deep/in/one", {"subPath": "of/parts/file"})],
        ),
    ]
    create("parts", *then, initContainers=first, volumes=[{"name": "v", "emptyDir": {}}])
    found = said(pods, "parts", "whole", "part", "file")
    assert set(found.values()) == {"in its part"}


def test_what_is_read_only_holds_against_all_that_a_guest_can_try(
    pods: Pods, create: Make, does: Make, put: Callable[..., None]
) -> None:
    put("configmaps", "settings", data={"file": "content"})
    volumes = [{"name": "c", "configMap": {"name": "settings"}}, {"name": "e", "emptyDir": {}}]
    read_only = {"readOnly": True}
    mounts = {
        "config": ("c", "/v"),
        "config-file": ("c", "/v/file", {"subPath": "file"}),
        "empty": ("e", "/v", read_only),
        "empty-part": ("e", "/v", {"subPath": "part", **read_only}),
        "empty-file": ("e", "/v/file", {"subPath": "file", **read_only}),
    }
    first = [
        does("write", "/e", "w", "file", "content", mounts=[("e", "/e")]),
        does("write-part", "/e", "w", "file", "content", mounts=[("e", "/e", {"subPath": "part"})]),
    ]
    tries = [does(name, "/v", "x", "file", "other", mounts=[each]) for name, each in mounts.items()]
    create("tries", *tries, initContainers=first, volumes=volumes)
    for name, numbers in said(pods, "tries", *mounts).items():
        assert len(numbers.split()) == 13, name
        assert "00" not in numbers.split(), name
    tried = does("main", "/e", "x", "file", "other", mounts=[("e", "/e")])
    create("may", tried, initContainers=first[:1], volumes=volumes[1:])
    assert set(said(pods, "may", "main")["main"].split()) == {"00"}  # or the above shows nothing


def test_change_of_a_config_map_is_never_seen_through_sub_path(
    pods: Pods, api: Api, create: Make, does: Make, put: Callable[..., None]
) -> None:
    put("configmaps", "settings", data={"color": "blue"})
    mounts = [("v", "/whole"), ("v", "/part/color", {"subPath": "color"})]
    watches = does("watches", "/whole", "c", "color", "b", mounts=mounts)
    stays = does("stays", "/part", "c", "color", "b", mounts=mounts)
    volumes = [{"name": "v", "configMap": {"name": "settings"}}]
    create("swapped", watches, stays, volumes=volumes)
    eventually(lambda: "running" in pods.container("swapped", "stays").get("state", {}))
    path = f"/api/v1/namespaces/{pods.namespace}/configmaps/settings"
    api.patch(path, {"data": {"color": "green"}})
    eventually(lambda: pods.logs("swapped", "--container=watches") == "green")
    steadily(lambda: "running" in pods.container("swapped", "stays")["state"], for_s=1)


def test_termination_message_in_a_mounted_volume_is_in_the_status(
    pods: Pods, create: Make, does: Make
) -> None:
    says = does("main", "/v", "w", "sub/end", "the end", mounts=[("v", "/v")])
    says["terminationMessagePath"] = "/v/sub/end"
    create("words", says, volumes=[{"name": "v", "emptyDir": {}}])
    pods.await_phase("words", "Succeeded")
    assert pods.container("words")["state"]["terminated"]["message"] == "the end"
