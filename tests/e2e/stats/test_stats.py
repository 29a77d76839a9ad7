"""What a node tells of use, asked through the API server."""

import time
from typing import Any

import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import Pods
from prometheus_client.parser import text_string_to_metric_families

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up", "busy_and_idle")
type Samples = dict[tuple[str, str], float]


def node_of(pods: Pods, name: str) -> str:
    node: str = pods.get(name)["spec"]["nodeName"]
    return node


def scraped(plane: ControlPlane, node: str, endpoint: str) -> str:
    return plane.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy{endpoint}").stdout


def samples(text: str, pods: Pods) -> Samples:
    """The samples of this test's pods by name and pod, and those of the node."""
    return {
        (sample.name, sample.labels.get("pod", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("namespace", pods.namespace) == pods.namespace
    }


def pod_in(summary: dict[str, Any], pods: Pods, name: str) -> dict[str, Any]:
    wanted = (pods.namespace, name)
    return next(
        each
        for each in summary["pods"]
        if (each["podRef"]["namespace"], each["podRef"]["name"]) == wanted
    )


def test_resource_metrics_grow_with_use(control_plane: ControlPlane, pods: Pods) -> None:
    node = node_of(pods, "busy")
    busy = ("container_cpu_usage_seconds_total", "busy")
    first = samples(scraped(control_plane, node, "/metrics/resource"), pods)

    def grown() -> Samples:
        later = samples(scraped(control_plane, node, "/metrics/resource"), pods)
        assert later[busy] > first[busy] + 0.5
        return later

    later = eventually(grown, 30)
    assert first["resource_scrape_error", ""] == 0
    assert first["node_memory_working_set_bytes", ""] > 20 << 20
    assert later["node_cpu_usage_seconds_total", ""] > first["node_cpu_usage_seconds_total", ""]
    assert abs(later["container_start_time_seconds", "busy"] - time.time()) < 120
    idle = scraped(control_plane, node_of(pods, "idle"), "/metrics/resource")
    of_idle = samples(idle, pods)
    assert 0 < of_idle["container_cpu_usage_seconds_total", "idle"] < 1
    assert 0 < of_idle["container_memory_working_set_bytes", "idle"] < 32 << 20


def test_summary_tells_of_pods_and_node(api: Api, pods: Pods) -> None:
    node = node_of(pods, "busy")
    told = api.get(f"/api/v1/nodes/{node}/proxy/stats/summary")
    assert told["node"]["nodeName"] == node
    assert {"network", "runtime"} <= set(told["node"])
    assert told["node"]["fs"]["capacityBytes"] > told["node"]["fs"]["availableBytes"] > 0
    busy = pod_in(told, pods, "busy")
    assert busy["podRef"]["uid"] == pods.get("busy")["metadata"]["uid"]
    (container,) = busy["containers"]
    assert container["cpu"]["usageNanoCores"] > 50_000_000
    assert {"rootfs", "logs"} <= set(container)
    less = api.get(f"/api/v1/nodes/{node}/proxy/stats/summary", only_cpu_and_memory="true")
    assert "fs" not in less["node"]


@pytest.mark.parametrize(
    ("endpoint", "sample", "of"),
    [
        ("/metrics", "kubelet_running_pods", ""),
        ("/metrics/cadvisor", "container_memory_rss", "busy"),
        ("/metrics/probes", "process_start_time_seconds", ""),
    ],
)
def test_other_metrics_can_be_scraped(
    control_plane: ControlPlane, pods: Pods, endpoint: str, sample: str, of: str
) -> None:
    text = scraped(control_plane, node_of(pods, "busy"), endpoint)
    assert samples(text, pods)[sample, of] > 0
