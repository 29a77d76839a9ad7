"""Pods, reports and grants for unit tests, and a view that has everything it needs."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from reconciler_objects import api_pod
from reconciler_peer import AT, FACTS, HOST_IP, LIFE, NODE

from contract.digests import inventory_digest
from contract.ids import PodUid
from contract.messages.form import STATIC_TERM, Incarnation
from contract.messages.node import NodeBeat, NodeGranted
from contract.messages.report import ContainerReport, Inventory, InventoryEntry, PodReported
from pod_reconciler.domain.admission import UNKNOWN_PLACE
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.duties import write_due
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.material import Lack, Material
from pod_reconciler.domain.pod import Pod, pod_from_json
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.tracking import NodeView
from podspec.placement import NodeFacts

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
NEXT_LIFE = Incarnation(executor_id="e1", start_count=2)
DELAY_S = 0.25
AROUND = Surroundings(node=NODE, host_ip=HOST_IP)
GRANT = NodeGranted(node=NODE, holder=LIFE, host_ip=HOST_IP, facts=FACTS)


def pod_json(uid: str = "u-1", *, version: int = 1, **spec: Any) -> dict[str, Any]:
    """A pod as the watch shows it."""
    pod = api_pod(f"pod-{uid}", uid, NODE, **spec)
    pod["metadata"]["resourceVersion"] = str(version)
    return pod


def pod_of(json: dict[str, Any]) -> Pod:
    return pod_from_json(msgspec.json.encode(json))


def deleted(json: dict[str, Any], version: int = 2, grace_s: int = 30) -> dict[str, Any]:
    """The pod after `kubectl delete`."""
    metadata = json["metadata"] | {
        "deletionTimestamp": "2026-01-31T12:00:30Z",
        "deletionGracePeriodSeconds": grace_s,
        "generation": 2,
        "resourceVersion": str(version),
    }
    return json | {"metadata": metadata}


def report_of(
    uid: str,
    *containers: ContainerReport,
    number: tuple[int, int] = (1, 1),
    life: Incarnation = LIFE,
    stopped: bool = False,
    plan_digest: str = "d",
    **more: Any,
) -> PodReported:
    return PodReported(
        uid=PodUid(uid),
        namespace="default",
        name=f"pod-{uid}",
        incarnation=life,
        epoch=number[0],
        sequence=number[1],
        plan_digest=plan_digest,
        term=STATIC_TERM,
        started_at=AT,
        containers=containers,
        stopped=stopped,
        **{"generation": 1, **more},
    )


def entry_of(report: PodReported) -> InventoryEntry:
    return InventoryEntry(
        uid=report.uid,
        plan_digest=report.plan_digest,
        epoch=report.epoch,
        sequence=report.sequence,
    )


def inventory(*reports: PodReported, life: Incarnation = LIFE) -> Inventory:
    return Inventory(incarnation=life, epoch=1, entries=tuple(map(entry_of, reports)))


def beat(*reports: PodReported, life: Incarnation = LIFE) -> NodeBeat:
    digest = inventory_digest(map(entry_of, reports))
    return NodeBeat(node=NODE, incarnation=life, epoch=1, at=NOW, inventory_digest=digest)


def live_view(*reports: PodReported) -> NodeView:
    """A view that knows who holds the node, what the API has (nothing) and what the node has."""
    view = NodeView(NODE, lambda: NOW)
    view.on_granted(GRANT)
    view.on_synced()
    view.on_inventory(inventory(*reports))
    return view


def see(
    view: NodeView,
    json: dict[str, Any],
    *,
    at_s: float = 0.0,
    handler: str | Lack = "",
    place: NodeFacts = UNKNOWN_PLACE,
    is_static: bool = False,
) -> PodRecord:
    """Let the watch show a pod; its record."""
    uid = PodUid(json["metadata"]["uid"])
    asks = bool(handler)
    view.on_pod(PodVersion(pod_of(json), msgspec.json.encode(json), place, is_static, asks), at_s)
    if asks:
        view.on_material(uid, Material(handler=handler))
    return view.records[uid]


def write_of(view: NodeView, record: PodRecord, now_s: float = 100.0) -> object:
    return write_due(view, record, now_s, DELAY_S)


def state_of(record: PodRecord) -> PodState:
    """Asked each time: a type checker believes that a state stays as it was compared."""
    return record.state


def acked(view: NodeView, record: PodRecord) -> None:
    record.was_sent = True
    view.on_acked(record.uid, record.plan_digest)
