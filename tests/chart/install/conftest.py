"""Fixtures of real installations: a control plane, a machine and a registry for each module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chart.helm import NAMESPACE, Helm
from chart.machine import HOST, Machine
from chart.opened import Followed
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod

from controlplane import ControlPlane, Tuning, build_helm
from controlplane.ports import free_ports
from log_server.addresses import announced_address

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}],
}


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One line of JSON for each answer to one of our service accounts."""
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, audit_log: Path) -> Iterator[ControlPlane]:
    policy = audit_log.with_name("policy.yaml")
    policy.write_text(yaml.safe_dump(AUDIT_POLICY))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={audit_log}")
    tuning = Tuning(extra_args={"kube-apiserver": flags})
    with ControlPlane(tmp_path_factory.mktemp("install plane"), tuning=tuning) as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        level = "pod-security.kubernetes.io/enforce=restricted"
        plane.kubectl("label", "namespace", NAMESPACE, level)
        yield plane


@pytest.fixture(scope="module")
def machine(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine") / HOST
    address = announced_address("", static=False)
    with Machine(cluster, folder, name=HOST, address=address) as machine:
        yield machine
    assert machine.failure is None


@pytest.fixture(scope="module")
def helm(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(build_helm(), tmp_path_factory.mktemp("helm home"), cluster.admin_kubeconfig)


@pytest.fixture(scope="module")
def own_values(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What differs on a machine that all pods share: ports, and the registry in plain HTTP."""
    ports = free_ports(8)
    admin = ("nodeRegistrar", "podReconciler", "wasmExecutor", "logServer")
    values = {
        "nats": {
            "replicas": 3,
            "port": ports[0],
            "monitorPort": ports[1],
            "routePort": ports[7],
        },
        "adminPorts": dict(zip(admin, ports[2:6], strict=True)),
        "nodePool": {"kubeletPort": {"port": ports[6]}},
        "wasmExecutor": {"settings": {"INSECURE_REGISTRIES": images.registry.host}},
        "tests": {"image": images.push(guests.prints("the chart works"), "tested")},
    }
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def followed(cluster: ControlPlane, api: Api, images: Images, tmp_path: Path) -> Iterator[Followed]:
    """A log that is followed, of a pod in a namespace that is not the chart's."""
    api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
    eventually(lambda: api.find("/api/v1/namespaces/users/serviceaccounts/default"))
    pods = Pods(cluster, api, "users")
    pods.create(pod("counts", images.push(guests.counts(100), "counts-while-followed")))
    pods.await_phase("counts", "Running")
    out = tmp_path / "followed"
    with Followed(cluster.kubectl, out, namespace="users", pod="counts") as followed:
        yield followed
    pods.remove_all()
