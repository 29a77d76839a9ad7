"""What a node shows to Prometheus is well formed, and is what the documentation says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e.pods import Pods

from controlplane import ControlPlane

DOCS = Path(__file__).parents[3] / "docs" / "kubelet-api.md"
ENDPOINTS = ("", "/resource", "/cadvisor", "/probes", "/slis")

pytestmark = [
    pytest.mark.usefixtures("wasmlet_up", "busy_and_idle"),
    pytest.mark.debian,
    pytest.mark.skipif(not shutil.which("promtool"), reason="needs Debian's package prometheus"),
]


def proxied(pods: Pods, endpoint: str) -> str:
    node = pods.get("busy")["spec"]["nodeName"]
    return f"/api/v1/nodes/{node}/proxy/metrics{endpoint}"


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
    # Pods without volumes have mounted none, and nobody was evicted.
    volumes = {"storage_operation_duration_seconds", "volume_manager_total_volumes"}
    assert absent <= volumes | {"kubelet_evictions"}
