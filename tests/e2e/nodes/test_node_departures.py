"""Two nodes, of which one is gone for good: everybody lets go of it, and it may come back."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.services import Service, Services
from registrar_scene import LEASES

from contract.ids import NodeName
from contract.subjects import Role
from controlplane import ControlPlane, Registry

STAYS, LEAVES = NodeName("stays.example"), NodeName("leaves.example")
NODES = (STAYS, LEAVES)
LEASE_S = 6
QUICK_REGISTRAR = {
    "LEASE_S": str(LEASE_S),
    "LEASE_RENEW_S": "1",
    "BEAT_FRESH_S": "4",
    "GRANTS_INTERVAL_S": "0.5",
}
CHECK = {"NODE_CHECK_S": "2"}
LET_GO_WITHIN_S = 60.0
KEPT = {
    Role.NODE_REGISTRAR: "wasmlet_registrar_nodes",
    Role.POD_RECONCILER: "wasmlet_reconciler_nodes",
    Role.LOG_SERVER: "wasmlet_kubelet_listeners",
}
"""By what each shows how many nodes it has to do with."""


class Household(NamedTuple):
    """The services that see to both nodes, and an executor for each."""

    control: dict[Role, Service]
    executors: dict[NodeName, Service]

    def kept(self) -> set[float]:
        return {self.control[role].metric(name) for role, name in KEPT.items()}


@pytest.fixture
def household(
    control_plane: ControlPlane, api: Api, registry: Registry, tmp_path: Path
) -> Iterator[Household]:
    with ExitStack() as stack:
        for node in NODES:
            stack.callback(api.delete, path(node))
        services = stack.enter_context(Services(control_plane, tmp_path, NODES))
        start = services.start
        control = {
            Role.NODE_REGISTRAR: start(Role.NODE_REGISTRAR, QUICK_REGISTRAR),
            Role.POD_RECONCILER: start(Role.POD_RECONCILER, CHECK | {"ELECTION": "off"}),
            Role.LOG_SERVER: start(Role.LOG_SERVER, CHECK | {"KUBELET_PORT": "0"}),
        }
        own = {"INSECURE_REGISTRIES": registry.host, "BEAT_INTERVAL_S": "1"}
        executors = {node: start(Role.WASM_EXECUTOR, own, node) for node in NODES}
        eventually(lambda: all(is_ready(api, node) for node in NODES), 60)
        yield Household(control, executors)


def path(node: NodeName) -> str:
    return f"/api/v1/nodes/{node}"


def is_ready(api: Api, node: NodeName) -> bool:
    found = api.find(path(node))
    conditions = [] if found is None else found["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def lease_age_s(api: Api, node: NodeName) -> float:
    """Since when its Lease was not renewed."""
    renewed_at = datetime.fromisoformat(api.get(f"{LEASES}/{node}")["spec"]["renewTime"])
    return (datetime.now(UTC) - renewed_at).total_seconds()


def on(node: NodeName, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return manifest


@pytest.mark.timeout(240)
def test_a_machine_that_is_gone_is_let_go_of_by_all_and_comes_back_as_a_new_node(
    household: Household, api: Api, pods: Pods, images: Images
) -> None:
    image = images.push(guests.counts(100), "counts-beside-a-departure")
    for node in NODES:
        pods.create(on(node, pod(f"on-{node}", image)))
    for node in NODES:
        pods.await_phase(f"on-{node}", "Running")
    eventually(lambda: household.kept() == {2.0})
    before = pods.container(f"on-{STAYS}")
    uid = api.get(path(LEAVES))["metadata"]["uid"]

    household.executors[LEAVES].kill()
    reconciler = household.control[Role.POD_RECONCILER]
    eventually(lambda: lease_age_s(api, LEAVES) > 2 * LEASE_S, LET_GO_WITHIN_S)
    assert household.kept() == {2.0}, "it is silent, and its Node is there"
    api.delete(path(LEAVES))
    eventually(lambda: household.kept() == {1.0}, LET_GO_WITHIN_S)
    assert [each["node"] for each in reconciler.records("node.ended")] == [LEAVES]
    pods.delete(f"on-{LEAVES}", grace_s=0)  # as the garbage collector of pods does in a while

    after = pods.container(f"on-{STAYS}")
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    assert pods.logs(f"on-{STAYS}", "--tail=1")

    household.executors[LEAVES].start()
    eventually(lambda: is_ready(api, LEAVES), 60)
    assert api.get(path(LEAVES))["metadata"]["uid"] != uid
    short = images.push(guests.counts(0, up_to=3), "counts-after-a-departure")
    pods.create(on(LEAVES, pod("again", short)))
    pods.await_phase("again", "Succeeded")
    assert pods.logs("again").splitlines() == [f"line {number:08}" for number in (1, 2, 3)]
    eventually(lambda: household.kept() == {2.0})
    for service in household.control.values():
        assert not service.records("service.crashed")
