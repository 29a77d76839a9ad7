"""`wasmlet check` and a node of a real cluster say the same of the same pod."""

import json
import subprocess
import sys
from typing import Any

import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane


@pytest.fixture(autouse=True)
def running(wasmlet_up: RunningWasmlet) -> None:
    assert wasmlet_up.process.is_running


def checked(manifest: dict[str, Any]) -> tuple[int, dict[str, list[str]]]:
    """The exit code, and of each verdict the fields with their reasons, as a node says them."""
    command = [sys.executable, "-m", "wasmlet", "check", "-o", "json", "-"]
    text = json.dumps(manifest)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    told: dict[str, list[str]] = {"refused": [], "ignored": [], "needs": []}
    for each in json.loads(done.stdout)["findings"]:
        told[each["verdict"]].append(f"{each['field']}: {each['reason']}")
    return done.returncode, told


@pytest.mark.parametrize(
    ("spec", "container"),
    [
        ({"hostIPC": True}, {}),
        ({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}, {}),
        (
            {"hostPID": True, "securityContext": {"sysctls": [{"name": "a.b", "value": "1"}]}},
            {
                "securityContext": {"privileged": True},
                "ports": [{"containerPort": 1, "hostPort": 2}],
            },
        ),
    ],
)
def test_a_pod_that_check_refuses_is_refused_by_the_node_with_the_same_words(
    pods: Pods, spec: dict[str, Any], container: dict[str, Any]
) -> None:
    manifest = pod("odd", "nobody.example/never:1", **container)
    manifest["spec"] |= spec
    exit_code, told = checked(manifest)
    assert exit_code == 1
    pods.create(manifest)
    status = pods.await_phase("odd", "Failed")["status"]
    assert status["reason"] == "PodFeatureUnsupported"
    said = status["message"].removeprefix("Pod was rejected: ").split("; ")
    assert sorted(said) == sorted(told["refused"])


def test_a_pod_that_check_passes_runs_and_is_told_the_same(pods: Pods, images: Images) -> None:
    security = {"runAsUser": 1, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}
    image = images.push(guests.prints("passes\n"), "passes")
    manifest = pod("fine", image, securityContext=security)
    exit_code, told = checked(manifest)
    assert (exit_code, told["refused"]) == (0, [])
    assert len(told["ignored"]) == 2
    pods.create(manifest)
    pods.await_phase("fine", "Succeeded")
    event = eventually(lambda: dict(pods.events("fine")).get("FieldsIgnored", ""))
    assert sorted(event.split("; ")) == sorted(told["ignored"])


def test_what_a_cluster_gives_back_can_be_checked(
    pods: Pods, images: Images, control_plane: ControlPlane
) -> None:
    """The way of who has a cluster already: `kubectl get -o yaml | wasmlet check -`."""
    pods.run("asked", images.push(guests.prints("asked\n"), "asked"))
    pods.await_phase("asked", "Succeeded")
    shown = control_plane.kubectl("get", "pods", f"--namespace={pods.namespace}", "-o", "yaml")
    command = [sys.executable, "-m", "wasmlet", "check", "-"]
    done = subprocess.run(command, input=shown.stdout, capture_output=True, text=True, check=False)
    assert done.stdout == "1 pod: all would run\n"
    assert done.returncode == 0
