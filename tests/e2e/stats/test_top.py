"""`kubectl top`, by the real metrics-server."""

import pytest
from e2e.expectations import eventually
from e2e.pods import Pods

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up", "busy_and_idle", "metrics_server")


@pytest.mark.slow  # it builds metrics-server: many minutes where no cache has it
@pytest.mark.timeout(1800)
def test_kubectl_top_shows_pods_and_nodes(control_plane: ControlPlane, pods: Pods) -> None:
    def top(*arguments: str) -> dict[str, list[str]]:
        # Until the second scrape there are no metrics, and it fails.
        shown = control_plane.kubectl("top", *arguments, "--no-headers", check=False).stdout
        return {line.split()[0]: line.split()[1:] for line in shown.splitlines()}

    def told() -> dict[str, list[str]]:
        shown = top("pod", f"--namespace={pods.namespace}")
        assert {"busy", "idle"} <= set(shown)
        return shown

    of_pods = eventually(told, 90)
    assert int(of_pods["busy"][0].removesuffix("m")) > 100
    assert int(of_pods["idle"][0].removesuffix("m")) < 50
    of_nodes = top("node")
    assert int(of_nodes[pods.get("busy")["spec"]["nodeName"]][0].removesuffix("m")) > 100
