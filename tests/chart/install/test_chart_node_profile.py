"""The profile `node`: each container has a file system of its own; a namespace must allow that."""

import os
from pathlib import Path

import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import Machine, is_ready
from e2e.api import Api
from e2e.expectations import eventually

from controlplane import ControlPlane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers' namespaces need root"),
]
NODE_PROFILE = ("--set", "privilegeProfile=node", "--set", "nats.replicas=1")


def test_an_executor_that_mounts_runs_with_the_capabilities_that_the_chart_names(
    helm: Helm, cluster: ControlPlane, machine: Machine, api: Api, own_values: Path
) -> None:
    level = "pod-security.kubernetes.io/enforce=privileged"
    cluster.kubectl("label", "namespace", NAMESPACE, level, "--overwrite")
    helm("install", RELEASE, str(CHART), *installing(own_values, *NODE_PROFILE))
    eventually(lambda: is_ready(api))
    said = helm("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "the chart works" in said
    assert all(each.restarts == 0 for each in machine.pod("wasm-node").containers)
    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
