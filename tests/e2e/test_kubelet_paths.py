"""What `kubectl get --raw /api/v1/nodes/N/proxy/...` shows of each path, served or not."""

import json
from collections.abc import Callable
from typing import Final

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods

from controlplane import ControlPlane

type Says = Callable[[str], bool]


def _holds(text: str) -> Says:
    return lambda said: text in said


def _is_kind(kind: str) -> Says:
    return lambda said: json.loads(said)["kind"] == kind


SERVED: Final[dict[str, Says]] = {
    "healthz": "ok".__eq__,
    "healthz?verbose": _holds("[+]syncloop ok"),
    "healthz/ping": "ok".__eq__,
    "healthz/log": "ok".__eq__,
    "healthz/syncloop": "ok".__eq__,
    "pods": _is_kind("PodList"),
    "runningpods/": _is_kind("PodList"),
    "configz": lambda said: "kubeletconfig" in json.loads(said),
    "stats/summary": lambda said: bool(json.loads(said)["node"]["nodeName"]),
    "metrics": _holds("kubelet_running_pods"),
    "metrics/resource": _holds("container_memory_working_set_bytes"),
    "metrics/cadvisor": _holds("machine_cpu_cores"),
    "metrics/probes": _holds("process_start_time_seconds"),
    "metrics/slis": _holds("kubernetes_healthcheck"),
}
REFUSED: Final = {
    "logs/": "MethodNotAllowed",
    "debug/pprof/": "MethodNotAllowed",
    "debug/flags/v": "MethodNotAllowed",
    "nowhere": "NotFound",
}


@pytest.mark.usefixtures("wasmlet_up")
def test_every_path_answers_through_the_api_server(
    control_plane: ControlPlane, pods: Pods, images: Images
) -> None:
    pods.run("sleeps", images.push(guests.sleeps(), "paths-sleeps"))
    node = pods.await_phase("sleeps", "Running")["spec"]["nodeName"]
    proxy = f"/api/v1/nodes/{node}/proxy"
    for path, says in SERVED.items():
        said = control_plane.kubectl("get", "--raw", f"{proxy}/{path}").stdout
        assert says(said), f"{path} says {said[:300]}"
    for path, why in REFUSED.items():
        asked = control_plane.kubectl("get", "--raw", f"{proxy}/{path}", check=False)
        assert asked.returncode == 1
        assert why in asked.stderr, f"{path}: {asked.stderr}"
