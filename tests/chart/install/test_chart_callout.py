"""An installation whose node comes in by its pod's token, and shows what the cluster signed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import NODE, Machine, is_ready
from e2e.api import Api
from e2e.expectations import eventually
from e2e.kubelet_port import signed_certificate

from controlplane import ControlPlane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers' namespaces need root"),
]


@pytest.fixture(scope="module")
def installed(cluster: ControlPlane, helm: Helm, machine: Machine, own_values: Path) -> Helm:
    """As docs/identity.md tells it."""
    assert machine.failure is None
    made = subprocess.run(
        [sys.executable, "-m", "wasmlet", "bus", "issuer"],
        capture_output=True,
        text=True,
        check=True,
    )
    cluster.kubectl("apply", "-f", "-", stdin=made.stdout)
    told = re.findall(r"\S+", made.stderr)
    more = ["--set", "logServer.certificates=csr", "--set", "nodePool.machinesOutside=true"]
    helm("install", RELEASE, str(CHART), *installing(own_values, *told, *more))
    return helm


def test_a_node_comes_in_by_its_pods_token_and_runs_a_module(installed: Helm, api: Api) -> None:
    eventually(lambda: is_ready(api))
    secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/nats-passwords")["data"]
    assert set(secret) == {"node-registrar", "pod-reconciler", "route"}
    said = installed("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "Succeeded" in said


@pytest.mark.usefixtures("installed")
def test_the_kubelet_port_shows_what_the_cluster_signed(cluster: ControlPlane, api: Api) -> None:
    eventually(lambda: signed_certificate(cluster, api, NODE), within_s=60)
