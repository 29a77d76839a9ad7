"""`helm install`, `test`, `upgrade` and `uninstall` for real, on a control plane of their own.

The workloads' containers run as processes from the pods that the API server admitted into a
namespace which enforces pod security *restricted*: the chart's own configuration is what runs.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from chart.helm import CHART, NAMESPACE, RELEASE, Helm, installing
from chart.machine import HOST, NODE, Machine, is_ready
from chart.rights import Unused, create_sources, naming
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod

from controlplane import ControlPlane

CONTROL = ("node-registrar", "pod-reconciler")
HOLD = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers' namespaces need root"),
]


@pytest.fixture(scope="module")
def installed(helm: Helm, machine: Machine, own_values: Path) -> Helm:
    """The chart, with everything Ready."""
    assert machine.failure is None
    helm("install", RELEASE, str(CHART), *installing(own_values))
    return helm


@contextmanager
def the_users_pods(cluster: ControlPlane, api: Api) -> Iterator[Pods]:
    """Pods in a namespace that is not the chart's."""
    if api.find("/api/v1/namespaces/users") is None:
        api.create("/api/v1/namespaces", {"metadata": {"name": "users"}})
    eventually(lambda: api.find("/api/v1/namespaces/users/serviceaccounts/default"))
    pods = Pods(cluster, api, "users")
    yield pods
    pods.remove_all()


def names(api: Api, kind: str) -> set[str]:
    found = api.get(f"/api/v1/namespaces/{NAMESPACE}/{kind}")["items"]
    return {each["metadata"]["name"] for each in found}


def passwords(api: Api) -> dict[str, str]:
    data: dict[str, str] = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/nats-passwords")["data"]
    return data


def restarts(api: Api) -> dict[str, int]:
    found = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return {
        f"{each['metadata']['name']}/{status['name']}": status["restartCount"]
        for each in found
        for status in each["status"].get("containerStatuses", [])
    }


@pytest.mark.usefixtures("installed")
def test_an_installation_makes_a_node_beside_the_machines_own(api: Api, machine: Machine) -> None:
    eventually(lambda: is_ready(api))
    node = api.get(f"/api/v1/nodes/{NODE}")
    addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
    assert addresses["InternalIP"] == machine.address
    (owner,) = node["metadata"]["ownerReferences"]
    assert owner["uid"] == api.get(f"/api/v1/nodes/{HOST}")["metadata"]["uid"]
    assert set(restarts(api).values()) == {0}, restarts(api)
    assert len(names(api, "pods")) == 8  # two of each control service, three of NATS, the node's


def test_helm_test_runs_a_module(installed: Helm) -> None:
    said = installed("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", "--timeout=60s")
    assert "Succeeded" in said
    assert "the chart works" in said


@pytest.mark.usefixtures("installed")
def test_one_replica_of_each_control_service_leads(api: Api) -> None:
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
    for service in CONTROL:
        holder = api.get(f"{leases}/{service}")["spec"]["holderIdentity"]
        assert any(holder.startswith(pod) for pod in names(api, "pods") if service in pod)


@pytest.mark.usefixtures("installed")
def test_an_executor_sees_no_token_and_no_other_password(machine: Machine) -> None:
    plan = machine.pod("wasm-node").folder / "wasm-executor.json"
    mounts = {each["path"]: each["source"] for each in json.loads(plan.read_text())["mounts"]}
    assert not any("serviceaccount" in path for path in mounts)
    assert mounts["/etc/wasmlet/bus/password"].endswith(f"/executor.{HOST}")


@pytest.mark.usefixtures("installed")
def test_the_api_server_treats_our_leases_as_a_kubelets(cluster: ControlPlane) -> None:
    kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "node-registrar")
    lease = f"leases/{NODE}"
    asked = ("get", lease, "--namespace=kube-node-lease", "-v=8")
    said = cluster.kubectl(*asked, kubeconfig=kubeconfig).stderr
    uid = cluster.kubectl.get("flowschema", "wasmlet-node-high")["metadata"]["uid"]
    level = cluster.kubectl.get("prioritylevelconfiguration", "node-high")["metadata"]["uid"]
    assert f"X-Kubernetes-Pf-Flowschema-Uid: {uid}" in said
    assert f"X-Kubernetes-Pf-Prioritylevel-Uid: {level}" in said


def test_an_upgrade_of_the_control_services_touches_no_pod(
    installed: Helm, cluster: ControlPlane, api: Api, images: Images, own_values: Path
) -> None:
    with the_users_pods(cluster, api) as pods:
        pods.create(pod("long", images.push(guests.sleeps(), "sleeps")))
        before = pods.await_phase("long", "Running")
        known = passwords(api)
        of_node = {name for name in names(api, "pods") if name.startswith(("wasm-node", "nats"))}

        more = ["--set", "nodeRegistrar.settings.STATUS_INTERVAL_S=11"]
        more += ["--set", "podReconciler.settings.CREATING_DELAY_S=0.3"]
        installed("upgrade", RELEASE, str(CHART), *installing(own_values), *more)

        assert passwords(api) == known
        assert of_node <= names(api, "pods")
        assert started(pods.get("long")) == started(before)
        eventually(lambda: is_ready(api))
        pods.create(pod("new", images.push(guests.prints("begun after it"), "after-it")))
        pods.await_phase("new", "Succeeded")


@pytest.mark.usefixtures("installed")
def test_three_servers_make_one_bus(machine: Machine) -> None:
    eventually(lambda: sorted(routes(machine).values()) == [2, 2, 2])


def routes(machine: Machine) -> dict[str, int]:
    """Per server of the bus, how many others it is connected with."""
    found = {}
    for each in tuple(machine.pods.values()):
        if each.metadata["name"].startswith("nats"):
            (container,) = each.containers
            (port,) = (
                p["containerPort"] for p in container.spec["ports"] if p["name"] == "monitor"
            )
            with suppress(httpx.TransportError):
                answer = httpx.get(f"http://{each.around.address}:{port}/routez", trust_env=False)
                remote = {route["remote_id"] for route in answer.json()["routes"]}
                found[each.metadata["name"]] = len(remote)
    return found


@pytest.mark.usefixtures("installed")
def test_a_lost_server_of_the_bus_is_no_loss(
    cluster: ControlPlane, api: Api, images: Images, machine: Machine
) -> None:
    with the_users_pods(cluster, api) as pods:
        pods.create(pod("long", images.push(guests.sleeps(), "sleeps")))
        before = pods.await_phase("long", "Running")
        server = f"/api/v1/namespaces/{NAMESPACE}/pods/nats-1"
        lost = api.get(server)["metadata"]["uid"]
        for each in machine.pods[lost].containers:
            each.signal(signal.SIGKILL)
        api.delete(server, gracePeriodSeconds=1)
        pods.create(pod("meanwhile", images.push(guests.prints("begun without it"), "without-it")))
        pods.await_phase("meanwhile", "Succeeded")
        assert started(pods.get("long")) == started(before)
        eventually(
            lambda: (api.find(server) or {"metadata": {"uid": lost}})["metadata"]["uid"] != lost
        )
        assert is_ready(api)


def is_run_again(pods: Pods, name: str) -> bool:
    return started(pods.get(name))[0] == 1


def started(pod: dict[str, Any]) -> tuple[int, str]:
    (status,) = pod["status"]["containerStatuses"]
    return status["restartCount"], status["containerID"]


def test_an_upgrade_of_the_nodes_restarts_what_may_be_restarted(
    installed: Helm, cluster: ControlPlane, api: Api, images: Images, own_values: Path
) -> None:
    with the_users_pods(cluster, api) as pods:
        for policy in ("Always", "Never"):
            long = pod(policy.lower(), images.push(guests.sleeps(), "sleeps"))
            long["spec"]["restartPolicy"] = policy
            pods.create(long)
        before = {name: pods.await_phase(name, "Running") for name in ("always", "never")}
        old = {name for name in names(api, "pods") if name.startswith("wasm-node")}

        more = ("--set", "wasmExecutor.settings.BEAT_INTERVAL_S=4")
        installed("upgrade", RELEASE, str(CHART), *installing(own_values, *more))

        assert not old & names(api, "pods")
        eventually(partial(is_run_again, pods, "always"))
        assert pods.get("always")["metadata"]["uid"] == before["always"]["metadata"]["uid"]
        pods.await_phase("always", "Running")
        # Its executor has lost its disk, the default emptyDir: nobody knows how far it had come.
        pods.await_phase("never", "Failed")


@pytest.mark.usefixtures("installed")
def test_no_service_was_refused_anything_by_its_roles(audit_log: Path) -> None:
    """After everything above: each has asked, and none was forbidden."""
    events = [json.loads(line) for line in audit_log.read_text().splitlines()]
    assert {each["user"]["username"] for each in events} == {
        f"{ACCOUNT}:{service}" for service in (*CONTROL, "log-server")
    }
    forbidden = [
        (each["user"]["username"], each["verb"], each["requestURI"])
        for each in events
        if each["responseStatus"]["code"] == httpx.codes.FORBIDDEN
    ]
    assert forbidden == []


@pytest.mark.usefixtures("installed")
def test_no_right_of_a_service_is_without_use(
    cluster: ControlPlane, api: Api, images: Images, machine: Machine, audit_log: Path
) -> None:
    with the_users_pods(cluster, api) as pods:
        create_sources(api, NODE)
        pods.create(naming(pod("names", images.push(guests.sleeps(), "sleeps"))))
        # Its Events repeat, which makes them patches.
        pods.create(pod("missing", f"{images.registry.host}/no/such:1"))
        pods.create(pod("ends", images.push(guests.sleeps(), "sleeps")))
        pods.await_phase("ends", "Running")
        pods.delete("ends", grace_s=1)
        for _ in range(2):  # a Node's Events repeat too
            restart_executor(api, machine)
        token = cluster.kubectl("create", "token", "default", "--namespace=users").stdout.strip()
        port = api.get(f"/api/v1/nodes/{NODE}")["status"]["daemonEndpoints"]["kubeletEndpoint"]
        url = f"https://{machine.address}:{port['Port']}/pods"
        as_user = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(url, headers=as_user, verify=False, trust_env=False)  # noqa: S501 - only that it asks
        assert answer.status_code == httpx.codes.FORBIDDEN
        assert not eventually(lambda: Unused(audit_log), within_s=60).rights


def restart_executor(api: Api, machine: Machine) -> None:
    """Returns when its next life has the name."""

    def holder() -> str:
        annotations = api.get(f"/api/v1/nodes/{NODE}")["metadata"]["annotations"]
        return str(annotations["wasmlet.dev/incarnation"])

    before = holder()
    (executor,) = (
        each for each in machine.pod("wasm-node").containers if each.spec["name"] == "wasm-executor"
    )
    executor.signal(signal.SIGTERM)
    eventually(lambda: holder() != before, within_s=60)


def test_an_uninstallation_ends_pods_and_takes_the_nodes_away(
    installed: Helm, cluster: ControlPlane, api: Api, images: Images, machine: Machine
) -> None:
    with the_users_pods(cluster, api) as pods:
        pods.create(pod("long", images.push(guests.sleeps(), "sleeps")))
        pods.await_phase("long", "Running")
        eventually(lambda: HOLD in api.get(f"/api/v1/nodes/{HOST}")["metadata"]["annotations"])
        installed("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
        assert api.find("/api/v1/namespaces/users/pods/long") is None
    eventually(lambda: not machine.pods)
    # No registrar made it again while its executor lived.
    assert api.find(f"/api/v1/nodes/{NODE}") is None
    assert HOLD not in api.get(f"/api/v1/nodes/{HOST}")["metadata"]["annotations"]
    assert not [name for name in names(api, "secrets") if "nats" in name]
    assert not [name for name in names(api, "serviceaccounts") if name != "default"]
    roles = api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles")["items"]
    assert not [each for each in roles if each["metadata"]["name"].startswith("wasmlet")]
