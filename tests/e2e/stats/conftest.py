"""A busy guest and an idle one, and a metrics-server that reads of them."""

import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods

from controlplane import Component, ControlPlane, build_metrics_server
from controlplane.ports import free_ports

NAMESPACE = "kube-system"
ACCOUNT = "metrics-server"
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
def busy_and_idle(pods: Pods, images: Images) -> None:
    """Two running pods of one container `main` each, named so."""
    spin = guests.wat('(memory (export "memory") 1) (func (export "_start") (loop (br 0)))')
    for name, module in (("busy", spin), ("idle", guests.sleeps())):
        pods.run(name, images.push(module, name))
        pods.await_phase(name, "Running")


@pytest.fixture(scope="session")
def metrics_server(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The real one, with the roles of its own manifests, as the API `metrics.k8s.io`."""
    folder = tmp_path_factory.mktemp("metrics-server")
    (port,) = free_ports(1)
    control_plane.kubectl.apply(*_objects(port))
    kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, ACCOUNT)
    server = Component(
        "metrics-server",
        _command(kubeconfig, folder, port),
        folder / "metrics-server.log",
        lambda: _lives(port),
    )
    server.start()
    try:
        server.wait_ready()
        yield
    finally:
        server.stop()
        control_plane.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io")


def _command(kubeconfig: Path, folder: Path, port: int) -> list[str]:
    return [
        build_metrics_server().path("metrics-server"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--cert-dir={folder}",
        f"--secure-port={port}",
        "--kubelet-insecure-tls",  # as everywhere where no CA of the cluster signs for kubelets
        "--kubelet-use-node-status-port",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=9s",
    ]


def _lives(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/livez", context=context):
            return True
    except OSError:
        return False


def _objects(port: int) -> list[dict[str, Any]]:
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(ACCOUNT)},
        *_roles(),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _named(ACCOUNT),
            # No kube-proxy here, so no cluster IP would lead anywhere.
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"name": ACCOUNT, "namespace": NAMESPACE, "port": port},
            },
        },
    ]


def _roles() -> list[dict[str, Any]]:
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    own = {"kind": "ClusterRole", "metadata": {"name": "system:metrics-server"}, "rules": rules}
    reader = "extension-apiserver-authentication-reader"
    return [
        {"apiVersion": f"{GROUP}/v1", **own},
        _bound("ClusterRole", "system:metrics-server", {"name": "metrics-server:own"}),
        _bound("ClusterRole", "system:auth-delegator", {"name": "metrics-server:delegator"}),
        _bound("Role", reader, _named("metrics-server-auth-reader")),
    ]


def _bound(kind: str, role: str, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
    }


def _named(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}
