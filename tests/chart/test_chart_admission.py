"""What a real API server says to what the chart renders: strict fields, and pod security."""

import json
from pathlib import Path
from typing import Any

import pytest
from chart.definitions import operators_definitions
from chart.helm import CHART, NAMESPACE, VALUES, Helm
from chart.objects import pods

from controlplane import ControlPlane

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
HOSTS = "host-values.yaml"  # asks for what *restricted* does not allow
WASM = {  # of ci/minimal-values.yaml
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "wasm"},
    "handler": "wasi",
}
NEEDED_FIRST = {"ServiceAccount", "PriorityClass", "RuntimeClass"}


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane, helm: Helm) -> ControlPlane:
    """A namespace that enforces *restricted*, with what a pod must find to be admitted."""
    plane.kubectl("create", "namespace", NAMESPACE)
    plane.kubectl("label", "namespace", NAMESPACE, RESTRICTED)
    for confined in ("shop", "garden"):
        plane.kubectl("create", "namespace", confined)
    for definition in operators_definitions("podmonitors", "prometheusrules"):
        # Created, for an apply would keep the whole text as an annotation, which is too long.
        plane.kubectl("create", "-f", str(definition))
        plane.kubectl("wait", "--for=condition=Established", "-f", str(definition))
    objects = helm.render("-f", str(CHART / "ci" / "observed-values.yaml"))
    first = [each for each in objects if each["kind"] in NEEDED_FIRST]
    plane.kubectl.create(*first, WASM)
    return plane


def as_pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": f"{name}-0", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def told(plane: ControlPlane, objects: list[dict[str, Any]]) -> tuple[int, str]:
    """Exit code and complaints of a creation that is not carried out."""
    answer = plane.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
        check=False,
    )
    return answer.returncode, answer.stderr


def test_an_api_server_accepts_every_object(
    cluster: ControlPlane, helm: Helm, values: Path
) -> None:
    code, complaints = told(cluster, helm.render("-f", str(values)))
    assert code == 0, complaints
    assert values.name == HOSTS or "Warning" not in complaints, complaints


@pytest.mark.parametrize(
    "values",
    [each for each in VALUES if each.name != HOSTS],
    ids=lambda path: path.stem.removesuffix("-values"),
    indirect=True,
)
def test_every_pod_is_admitted_where_pod_security_is_restricted(
    cluster: ControlPlane, helm: Helm, values: Path
) -> None:
    found = [as_pod(name, spec) for name, spec in pods(helm.render("-f", str(values)))]
    assert len(found) >= 4
    code, complaints = told(cluster, found)
    assert code == 0, complaints


def test_the_hosts_folders_and_ports_need_a_namespace_that_allows_them(
    cluster: ControlPlane, helm: Helm
) -> None:
    objects = helm.render("-f", str(CHART / "ci" / HOSTS))
    refused = {
        name
        for name, spec in pods(objects)
        if "violates PodSecurity" in told(cluster, [as_pod(name, spec)])[1]
    }
    assert refused == {"wasm-node"}
