"""`wasmlet doctor` on a real control plane: what is well, and each thing that is not."""

import base64
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.api import Api
from e2e.running_wasmlet import RunningWasmlet

from contract.ids import NodeName
from controlplane import ControlPlane
from controlplane.processes import bare_environment
from log_server.certificates import requested, self_signed
from wasmlet.roles import path_of, roles

NODE = "doctors-node"
CONFINED = "doctors-confined"
NODES = "/api/v1/nodes"
SYSTEM_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
PODS = "/api/v1/namespaces/wasmlet-system/pods"


def doctor(plane: ControlPlane, home: Path, *options: str) -> tuple[int, dict[str, list[str]]]:
    """Exit code, and per thing that was looked at its lines."""
    command = [sys.executable, "-m", "wasmlet", "doctor", "--no-kernel", *options]
    answer = subprocess.run(
        [*command, "--kubeconfig", str(plane.admin_kubeconfig)],
        capture_output=True,
        text=True,
        check=False,
        env=bare_environment(home),
    )
    assert not answer.stderr, answer.stderr
    said: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        if ": " in line:
            said.setdefault(line[9:].split(": ")[0], []).append(line)
    return answer.returncode, said


def the(lines: list[str]) -> str:
    """The one thing that is said of a subject."""
    (line,) = lines
    return line


@pytest.fixture
def node(api: Api) -> Iterator[dict[str, Any]]:
    """A Node of ours that nobody keeps, with a kubelet port where nobody listens."""
    metadata = {"name": NODE, "annotations": {"wasmlet.dev/incarnation": "e1/1"}}
    yield api.create(NODES, {"metadata": metadata, "spec": {"unschedulable": True}})
    api.delete(f"{NODES}/{NODE}")


@pytest.fixture
def pod(api: Api) -> Iterator[str]:
    """A pod of the registrar that runs nowhere."""
    labels = {
        "app.kubernetes.io/part-of": "wasmlet",
        "app.kubernetes.io/name": "node-registrar",
    }
    container = {
        "name": "node-registrar",
        "image": "none",
        "ports": [{"name": "admin", "containerPort": 8081}],
    }
    metadata = {"name": "node-registrar-0", "labels": labels}
    spec = {"nodeName": "nowhere", "serviceAccountName": "node-registrar"}
    api.create(PODS, {"metadata": metadata, "spec": spec | {"containers": [container]}})
    yield "node-registrar-0"
    api.delete(f"{PODS}/node-registrar-0", gracePeriodSeconds=0)


def test_services_with_their_roles_have_all_that_they_need(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    _, said = doctor(control_plane, tmp_path)
    assert the(said["api server"]).startswith("ok")
    assert the(said["clock"]).startswith("ok")
    for account in ("node-registrar", "pod-reconciler", "log-server"):
        assert (
            the(said[f"rights of {account}"]) == f"ok       rights of {account}: all that it needs"
        )
    for handler in ("wasi", "wasi-http", "wagi"):
        assert the(said[f"runtime class of {handler}"]).startswith("ok")


def test_a_node_that_runs_is_well_from_its_port_to_its_certificate(
    control_plane: ControlPlane, tmp_path: Path, wasmlet_up: RunningWasmlet
) -> None:
    _, said = doctor(control_plane, tmp_path)
    for node in wasmlet_up.nodes:
        assert the(said[f"node {node}"]).startswith(f"ok       node {node}: Ready")
        assert the(said[f"kubelet port of {node}"]).startswith("ok")
        assert "its certificate holds until" in the(said[f"certificate of {node}"])


def test_services_without_roles_lack_them_by_name(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    code, said = doctor(control_plane, tmp_path, "--namespace", "elsewhere")
    assert code == 1
    line = the(said["rights of log-server"])
    assert line.startswith("problem")
    assert "create tokenreviews" in line
    assert "apply deploy/rbac.yaml" in line


def renamed(role: Mapping[str, Any]) -> Mapping[str, Any]:
    """A binding beside that of the shared installation; all else as it is."""
    metadata = role["metadata"]
    if role["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
        return role
    return {**role, "metadata": metadata | {"name": f"{metadata['name']}-{CONFINED}"}}


@pytest.fixture
def confined(api: Api) -> Iterator[str]:
    """A namespace whose services are bound as the chart does with `namespaces: [shop]`."""
    made = ["/api/v1/namespaces/shop"]
    api.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    for role in map(renamed, roles(namespace=CONFINED, namespaces=("shop",))):
        if CONFINED in path_of(role):
            made.append(path_of(role))
            api.create(made[-1].rpartition("/")[0], dict(role))
    yield CONFINED
    for path in reversed(made):
        api.delete(path)


def test_confined_services_need_no_more_than_they_have(
    control_plane: ControlPlane, tmp_path: Path, confined: str
) -> None:
    about = "rights of pod-reconciler"
    _, said = doctor(control_plane, tmp_path, "--namespace", confined)
    assert the(said[about]).startswith("problem")
    _, said = doctor(control_plane, tmp_path, "--namespace", confined, "--namespaces", "shop")
    assert the(said[about]) == f"ok       {about}: all that it needs"


def test_rights_for_signed_certificates_are_asked_for_too(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    _, said = doctor(control_plane, tmp_path, "--namespace", "elsewhere", "--csr")
    line = the(said["rights of log-server"])
    assert "create certificatesigningrequests" in line
    assert "certificates-rbac.yaml" in line


def test_a_node_that_nobody_keeps_is_found_with_its_port(
    control_plane: ControlPlane, tmp_path: Path, node: dict[str, Any]
) -> None:
    assert node
    code, said = doctor(control_plane, tmp_path)
    assert code == 1
    readiness, cordon = said[f"node {NODE}"]
    assert readiness.startswith(f"problem  node {NODE}: not Ready")
    assert cordon.startswith(f"warning  node {NODE}: it is cordoned")
    assert the(said[f"kubelet port of {NODE}"]).startswith("problem")


def test_a_node_that_kindnet_would_route_by_is_found(
    control_plane: ControlPlane, api: Api, tmp_path: Path, node: dict[str, Any]
) -> None:
    status = {"addresses": [{"type": "InternalIP", "address": "10.244.1.9"}]}
    api.patch(f"{NODES}/{node['metadata']['name']}/status", {"status": status})
    labels = {"app": "kindnet"}
    run = {"containers": [{"name": "a", "image": "a"}], "nodeSelector": {"no": "machine"}}
    pods = {"metadata": {"labels": labels}, "spec": run}
    spec = {"selector": {"matchLabels": labels}, "template": pods}
    api.create(SYSTEM_SETS, {"metadata": {"name": "kindnet"}, "spec": spec})
    try:
        _, said = doctor(control_plane, tmp_path)
    finally:
        api.delete(f"{SYSTEM_SETS}/kindnet")
    assert the(said["kindnet"]).startswith(f"problem  kindnet: routes by the address of {NODE}")
    assert "nodePool.kubeletPort.addressType=ExternalIP" in the(said["kindnet"])


def test_a_pod_of_a_service_that_is_not_ready_is_found(
    control_plane: ControlPlane, tmp_path: Path, pod: str
) -> None:
    code, said = doctor(control_plane, tmp_path)
    assert code == 1
    assert the(said[f"pod {pod}"]).startswith("problem")
    assert "kubectl logs -n wasmlet-system node-registrar-0" in the(said[f"pod {pod}"])
    assert the(said["service pod-reconciler"]).startswith("problem")


REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SECRETS = "/api/v1/namespaces/wasmlet-system/secrets"


@pytest.fixture
def request_of_a_node(api: Api) -> Iterator[str]:
    """What a log-server in mode `csr` asks, as nobody who would be approved."""
    spec = {
        "request": base64.b64encode(requested(NodeName(NODE), "192.0.2.7").request).decode(),
        "signerName": "kubernetes.io/kubelet-serving",
        "usages": ["digital signature", "server auth"],
    }
    metadata = {"generateName": f"wasmlet-{NODE}-"}
    made = api.create(REQUESTS, {"metadata": metadata, "spec": spec})
    name: str = made["metadata"]["name"]
    yield name
    api.delete(f"{REQUESTS}/{name}")


def test_a_request_that_waits_or_was_denied_is_found_with_its_reason(
    control_plane: ControlPlane, api: Api, tmp_path: Path, request_of_a_node: str
) -> None:
    about = f"request of {NODE}"
    line = the(doctor(control_plane, tmp_path)[1][about])
    assert line.startswith(f"warning  {about}: nobody has approved it")
    assert f"kubectl certificate approve {request_of_a_node}" in line
    denied = {"type": "Denied", "status": "True", "reason": "ByHand", "message": "not this one"}
    status = {"status": {"conditions": [denied]}}
    api.patch(f"{REQUESTS}/{request_of_a_node}/approval", status)
    code, said = doctor(control_plane, tmp_path)
    assert code == 1
    assert the(said[about]).startswith(f"problem  {about}: denied: ByHand not this one")


@pytest.fixture
def node_pod(api: Api) -> Iterator[None]:
    """A pod of the chart's DaemonSet with `certificates: existingSecret`; it runs nowhere."""
    labels = {"app.kubernetes.io/part-of": "wasmlet", "app.kubernetes.io/name": "wasm-node"}
    volume = {"name": "kubelet-tls", "secret": {"secretName": "doctors-tls"}}
    spec = {"nodeName": "nowhere", "containers": [{"name": "log-server", "image": "none"}]}
    metadata = {"name": "wasm-node-0", "labels": labels}
    api.create(PODS, {"metadata": metadata, "spec": spec | {"volumes": [volume]}})
    yield
    api.delete(f"{PODS}/wasm-node-0", gracePeriodSeconds=0)


@pytest.mark.usefixtures("node_pod")
def test_the_secret_of_the_kubelet_ports_is_looked_at(
    control_plane: ControlPlane, api: Api, tmp_path: Path
) -> None:
    about = "secret doctors-tls"

    def said() -> str:
        return the(doctor(control_plane, tmp_path)[1][about])

    assert said().startswith(f"problem  {about}: it is not there")
    now = datetime.now(UTC)
    mine, other = (self_signed(NodeName(NODE), "192.0.2.7", 86400.0, now) for _ in range(2))
    past = self_signed(NodeName(NODE), "192.0.2.7", 60.0, now - timedelta(days=2))
    key, certificate = _parts(mine.pem)
    cases = [
        ({"tls.crt": certificate, "tls.key": key}, f"ok       {about}: its certificate holds"),
        (
            {"tls.crt": certificate, "tls.key": _parts(other.pem)[0]},
            f"problem  {about}: its tls.key is not the key of its tls.crt",
        ),
        ({"tls.crt": certificate, "tls.key": b""}, f"problem  {about}: its tls.key holds no key"),
        ({"tls.crt": key, "tls.key": key}, f"problem  {about}: its tls.crt holds no certificate"),
        (
            dict(zip(("tls.key", "tls.crt"), _parts(past.pem), strict=True)),
            f"problem  {about}: its certificate ended",
        ),
    ]
    api.create(SECRETS, {"metadata": {"name": "doctors-tls"}})
    try:
        for data, wanted in cases:
            coded = {name: base64.b64encode(each).decode() for name, each in data.items()}
            api.patch(f"{SECRETS}/doctors-tls", {"data": coded})
            line = said()
            assert line.startswith(wanted)
            assert "PRIVATE" not in line
    finally:
        api.delete(f"{SECRETS}/doctors-tls")


def _parts(pem: bytes) -> tuple[bytes, bytes]:
    key, mark, certificate = pem.partition(b"-----BEGIN CERTIFICATE-----")
    return key, mark + certificate
