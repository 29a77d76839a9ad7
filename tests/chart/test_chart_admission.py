"""What a real API server says to what the chart renders: strict fields, and pod security."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart.definitions import cert_managers_definitions, establish, operators_definitions
from chart.helm import CHART, NAMESPACE, VALUES, Helm
from chart.objects import named, pods

from controlplane import ControlPlane, build_helm

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
HOSTS = "host-values.yaml"  # asks for what *restricted* does not allow
ON_THE_HOST = (HOSTS, "cert-manager-values.yaml", "folders-values.yaml")
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
    operators = operators_definitions("podmonitors", "prometheusrules")
    establish(plane, *operators, *cert_managers_definitions("certificates"))
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
    assert values.name in ON_THE_HOST or "Warning" not in complaints, complaints


@pytest.mark.parametrize(
    "values",
    [each for each in VALUES if each.name not in ON_THE_HOST],
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


@pytest.fixture
def machines(cluster: ControlPlane) -> Iterator[None]:
    """Two machines of the pool and one that is not."""
    for name, system, address in (
        ("m1", "linux", "192.0.2.21"),
        ("m2", "linux", "192.0.2.22"),
        ("w1", "windows", "192.0.2.23"),
    ):
        metadata = {"name": name, "labels": {"kubernetes.io/os": system}}
        cluster.kubectl.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        cluster.kubectl("patch", "node", name, *patch)
    yield
    cluster.kubectl("delete", "nodes", "m1", "m2", "w1")


@pytest.mark.usefixtures("machines")
def test_cert_manager_is_asked_for_the_machines_that_the_pool_finds(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    helm = Helm(build_helm(), tmp_path, cluster.admin_kubeconfig)
    values = ("-f", str(CHART / "ci" / "cert-manager-values.yaml"), "--set", "nodePool.hosts=null")

    def spec(*more: str) -> dict[str, Any]:
        objects = helm.render(*values, "--dry-run=server", "--take-ownership", *more)
        found: dict[str, Any] = named(objects, "Certificate", "kubelet-tls")["spec"]
        return found

    given = ["192.0.2.11", "2001:db8::12"]
    by_machine = spec()
    assert by_machine["dnsNames"][1:] == ["wasm-m1", "wasm-m2"]
    assert by_machine["ipAddresses"] == sorted(["192.0.2.21", "192.0.2.22", *given])
    listed = spec("--set", "nodePool.hosts={m2}")
    assert listed["dnsNames"][1:] == ["wasm-m2"]
    assert listed["ipAddresses"] == sorted(["192.0.2.22", *given])
    by_pod = spec("--set", "nodePool.kubeletPort.mode=podIP")
    assert by_pod["ipAddresses"] == given


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
