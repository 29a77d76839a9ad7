"""The Lease of a Node: what the node controller takes for its heartbeat."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contract.ids import NodeName
from node_registrar.domain.times import micro_time

NAMESPACE: Final = "kube-node-lease"


def new_lease(node: NodeName, node_uid: str, lease_s: int, now: datetime) -> dict[str, Any]:
    """Return a Lease to create."""
    return renewed({}, node, node_uid, lease_s, now)


def renewed(
    copy: Mapping[str, Any], node: NodeName, node_uid: str, lease_s: int, now: datetime
) -> dict[str, Any]:
    """Return the last known copy with a new renew time, as a whole, for an optimistic PUT.

    The owner is named each time: a Node that was deleted and came back has another UID, and the
    garbage collector would take the Lease of the former one away.
    """
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid}
    metadata = {**copy.get("metadata", {}), "name": node, "namespace": NAMESPACE}
    spec = {
        **copy.get("spec", {}),
        "holderIdentity": node,
        "leaseDurationSeconds": lease_s,
        "renewTime": micro_time(_after(copy, now)),
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {**metadata, "ownerReferences": [owner]},
        "spec": spec,
    }


def _after(copy: Mapping[str, Any], now: datetime) -> datetime:
    """Return a renew time that is later than the last one, whatever was done to the clock.

    The node controller counts a Lease as renewed when this time has grown, and as nothing when it
    has not: after a clock was set back, the Node would be lost though every renewal arrived.
    """
    before = _time(copy.get("spec", {}).get("renewTime"))
    return now if before is None else max(now, before + timedelta(microseconds=1))


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
