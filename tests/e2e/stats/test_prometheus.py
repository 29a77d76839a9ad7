"""A real Prometheus scrapes a node; the expressions of kubernetes-mixin have values."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.expectations import eventually
from e2e.pods import Pods

from controlplane import Component, ControlPlane
from controlplane.ports import free_ports

DOCS = Path(__file__).parents[3] / "docs" / "kubelet-api.md"
ENDPOINTS = ("", "/resource", "/cadvisor", "/probes", "/slis")
NEEDS = ("prometheus", "promtool")
EXPRESSIONS = (
    "sum(kubelet_node_name)",
    "sum(kubelet_running_pods)",
    "sum(kubelet_running_containers)",
    "sum(rate(kubelet_runtime_operations_total[1m])) by (operation_type, instance)",
    (
        "histogram_quantile(0.99, sum by (instance, operation_type, le)"
        " (rate(kubelet_runtime_operations_duration_seconds_bucket[1m])))"
    ),
    "sum(rate(kubelet_pod_start_duration_seconds_count[1m])) by (instance)",
    "sum(rate(kubelet_pod_worker_duration_seconds_count[1m])) by (instance)",
    (
        "histogram_quantile(0.99, sum by (instance, le)"
        " (rate(kubelet_pod_worker_duration_seconds_bucket[1m])))"
        " * on(instance) group_left(node) kubelet_node_name"
    ),
    "kubelet_certificate_manager_server_ttl_seconds > 7 * 24 * 3600",
    "process_resident_memory_bytes",
    "rate(process_cpu_seconds_total[1m])",
)
"""As in its dashboard and its alerts, with shorter ranges."""

pytestmark = [
    pytest.mark.usefixtures("wasmlet_up", "busy_and_idle"),
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDS)), reason="needs Debian's package prometheus"
    ),
]


def proxied(pods: Pods, endpoint: str) -> str:
    node = pods.get("busy")["spec"]["nodeName"]
    return f"/api/v1/nodes/{node}/proxy/metrics{endpoint}"


@pytest.fixture
def prometheus(control_plane: ControlPlane, pods: Pods, tmp_path: Path) -> Iterator[str]:
    """The address of one that scrapes every endpoint of the node each second."""
    (port,) = free_ports(1)
    config = tmp_path / "prometheus.json"
    config.write_text(json.dumps(_config(control_plane, pods)))
    server = Component(
        "prometheus",
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        tmp_path / "prometheus.log",
        lambda: _answers(port),
    )
    server.start()
    try:
        server.wait_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def test_promtool_finds_nothing_and_every_documented_series_is_there(
    control_plane: ControlPlane, pods: Pods
) -> None:
    for endpoint in ENDPOINTS:
        text = control_plane.kubectl("get", "--raw", proxied(pods, endpoint)).stdout
        check = ["promtool", "check", "metrics"]
        said = subprocess.run(check, input=text, capture_output=True, text=True, check=False)
        # It has opinions on names, which are the kubelet's; what cannot be parsed is an error.
        assert said.returncode in (0, 3), said.stderr
    table = DOCS.read_text().partition("### The kubelet's own series")[2].partition("Left out:")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    text = control_plane.kubectl("get", "--raw", proxied(pods, "")).stdout
    typed = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert len(documented) > 10
    absent = documented - typed
    # A pod without volumes has mounted none.
    assert absent <= {"storage_operation_duration_seconds"}


@pytest.mark.slow  # rates need some scrapes
def test_the_mixins_expressions_have_values(prometheus: str) -> None:
    def result(expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        found: list[Any] = _asked(f"{prometheus}/api/v1/query?{query}")["data"]["result"]
        return found

    def up() -> bool:
        targets = _asked(f"{prometheus}/api/v1/targets")["data"]["activeTargets"]
        problems = [(each["health"], each["lastError"]) for each in targets]
        assert problems == [("up", "")] * len(ENDPOINTS)
        return True

    def all_there() -> bool:
        assert [each for each in EXPRESSIONS if not result(each)] == []
        return True

    eventually(up, 30)
    eventually(all_there, 60)


def _config(plane: ControlPlane, pods: Pods) -> dict[str, Any]:
    """Through the API server, as the administrator, as whoever has no way to a node scrapes."""
    server = plane.kubectl("config", "view", "-o=jsonpath={.clusters[0].cluster.server}").stdout
    pki = plane.admin_kubeconfig.parent / "pki"
    return {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [
            {
                "job_name": f"kubelet{endpoint}",
                "scheme": "https",
                "metrics_path": proxied(pods, endpoint),
                "tls_config": {
                    "ca_file": str(pki / "ca.crt"),
                    "cert_file": str(pki / "admin.crt"),
                    "key_file": str(pki / "admin.key"),
                },
                "static_configs": [{"targets": [server.removeprefix("https://")]}],
            }
            for endpoint in ENDPOINTS
        ],
    }


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - its own address
        return json.load(answer)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready"):
            return True
    except OSError:
        return False
