"""The environment of a pod on a real control plane: each source, and what lacks at first."""

from typing import Any

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod

pytestmark = pytest.mark.usefixtures("wasmlet_up")


def shown(text: str) -> dict[str, str]:
    """The variables that a guest printed."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def put(api: Api, pods: Pods, plural: str, name: str, **fields: Any) -> None:
    kind = {"configmaps": "ConfigMap", "secrets": "Secret"}[plural]
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}
    api.create(f"/api/v1/namespaces/{pods.namespace}/{plural}", body)


def test_every_source_gives_what_a_kubelet_gives(pods: Pods, images: Images, api: Api) -> None:
    put(api, pods, "configmaps", "settings", data={"color": "blue", "size": "7"})
    put(api, pods, "secrets", "keys", stringData={"token": "t0p"})
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "ROOM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        {"name": "BOTH", "value": "$(P_color)-$(TOKEN)"},
    ]
    sources = [{"prefix": "P_", "configMapRef": {"name": "settings"}}]
    limits = {"limits": {"memory": "64Mi"}}
    image = images.push(guests.shows_environment(), "environment")
    pods.create(pod("sources", image, env=env, envFrom=sources, resources=limits))
    pods.await_phase("sources", "Succeeded")
    found = shown(pods.logs("sources"))
    assert found["BOTH"] == "blue-t0p"
    assert (found["P_size"], found["ROOM"]) == ("7", str(64 * 2**20))
    assert found["HOSTNAME"] == "sources"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"


def test_a_missing_secret_is_told_and_its_appearance_starts_the_container(
    pods: Pods, images: Images, api: Api
) -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]
    pods.create(pod("late", images.push(guests.shows_environment(), "environment"), env=env))
    pods.await_waiting("late", "CreateContainerConfigError")
    state = eventually(lambda: pods.container("late")["state"].get("waiting"))
    assert state["message"] == 'secret "late" not found'
    put(api, pods, "secrets", "late", stringData={"k": "v"})
    pods.await_phase("late", "Succeeded", within_s=40)
    assert shown(pods.logs("late"))["A"] == "v"
