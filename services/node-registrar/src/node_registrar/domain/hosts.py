"""A Node beside a machine's own Node: what it takes over from it, and what it asks of it.

The machine ("host") has a kubelet of its own. Whoever removes, cordons or shrinks away that Node
means the machine, so the Wasm Node follows: it is owned by the host, cordoned with it, and drained
when the host is leaving. What somebody did to the Wasm Node itself stays as it is.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from contract.ids import NodeName
from node_registrar.domain.granting import INCARNATION
from node_registrar.domain.node_view import HostView, NodeView

CORDON_MARK: Final = "wasmlet.dev/host-cordon"
"""On a Wasm Node while its host is cordoned: what to do when the host no longer is."""
LEAVING: Final = "wasmlet.dev/host-leaving"
"""The taint of a Wasm Node whose host is about to go."""
HOLDS: Final = "wasmlet.dev/holds"
"""On a host: which of `HOLDING` are ours to take away again."""
HOLDING: Final = (
    "cluster-autoscaler.kubernetes.io/scale-down-disabled",
    "karpenter.sh/do-not-disrupt",
)
"""By which a host says that no autoscaler may take it away."""


class Cordon(StrEnum):
    """Why a Wasm Node is cordoned while its host is."""

    MIRRORED = "mirrored"
    """By us: uncordon it with the host."""
    KEPT = "kept"
    """It was before: leave it."""


class Changes(NamedTuple):
    """Metadata and spec to be merged into a Node; empty ones where nothing differs."""

    metadata: dict[str, Any]
    spec: dict[str, Any]


def host_name(node: NodeName, prefix: str) -> NodeName | None:
    """Return whose Node this one stands beside, None for one that stands alone."""
    name = node.removeprefix(prefix)
    return NodeName(name) if prefix and name and name != node else None


def is_host(view: HostView) -> bool:
    """Say whether this Node is a machine's own: a Wasm Node has no other beside it."""
    return INCARNATION not in view.metadata.annotations


def changes_of(view: NodeView, host: HostView, leaving_keys: Sequence[str]) -> Changes:
    """Return what the Wasm Node lacks of its host's state."""
    metadata: dict[str, Any] = {}
    owners = owners_of(view.metadata.owner_references, host)
    if owners != list(view.metadata.owner_references):
        metadata["ownerReferences"] = owners
    spec: dict[str, Any] = {}
    shown = view.metadata.annotations.get(CORDON_MARK)
    mark, cordoned = cordon(
        is_cordoned(host), Cordon(shown) if shown in tuple(Cordon) else None, is_cordoned(view)
    )
    if mark != shown:
        metadata["annotations"] = {CORDON_MARK: mark}
    if cordoned != is_cordoned(view):
        spec["unschedulable"] = cordoned or None
    taints = taints_beside(view.spec.get("taints") or (), is_leaving(host, leaving_keys))
    if taints is not None:
        spec["taints"] = taints
    return Changes(metadata, spec)


def owners_of(present: Sequence[Mapping[str, Any]], host: HostView) -> list[Mapping[str, Any]]:
    """Return the owners with exactly this host among them; those of other kinds stay."""
    others = [each for each in present if each.get("kind") != "Node"]
    own = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": host.metadata.name,
        "uid": host.metadata.uid,
    }
    return [*others, own]


def is_cordoned(view: NodeView | HostView) -> bool:
    """Say whether the scheduler leaves this Node out."""
    return bool(view.spec.get("unschedulable"))


def cordon(
    host_cordoned: bool,  # noqa: FBT001 - the first column of a table
    mark: Cordon | None,
    cordoned: bool,  # noqa: FBT001 - and its last
) -> tuple[Cordon | None, bool]:
    """Return the mark and whether the Wasm Node is to be cordoned.

    Each change of the host is carried over once: who uncordons the Wasm Node afterwards means it.
    """
    if host_cordoned and mark is None:
        return (Cordon.KEPT if cordoned else Cordon.MIRRORED), True
    if host_cordoned or mark is None:
        return mark, cordoned
    return None, cordoned and mark is not Cordon.MIRRORED


def is_leaving(host: HostView, keys: Sequence[str]) -> bool:
    """Say whether one of these taints tells that the machine is about to go."""
    return any(each.get("key") in keys for each in host.spec.get("taints") or ())


def taints_beside(
    present: Sequence[Mapping[str, Any]],
    leaving: bool,  # noqa: FBT001 - what the name of the taint says
) -> list[Mapping[str, Any]] | None:
    """Return the taints that the Wasm Node is to have, None where they are those it has."""
    if leaving == any(each.get("key") == LEAVING for each in present):
        return None
    others = [each for each in present if each.get("key") != LEAVING]
    return [*others, {"key": LEAVING, "effect": "NoExecute"}] if leaving else others


def hold_of(host: HostView, *, busy: bool) -> dict[str, str | None]:
    """Return the annotations by which the host is held, or let go; what others wrote stays."""
    shown = host.metadata.annotations
    ours = shown.get(HOLDS)
    if busy and ours is None:
        lacking = [key for key in HOLDING if key not in shown]
        return {**dict.fromkeys(lacking, "true"), HOLDS: ",".join(lacking)}
    if not busy and ours is not None:
        return {**dict.fromkeys(key for key in HOLDING if key in ours.split(",")), HOLDS: None}
    return {}


def beside(node: Mapping[str, Any], host: HostView, leaving_keys: Sequence[str]) -> dict[str, Any]:
    """Return a Node to create as one that already follows its host."""
    meta, spec = node["metadata"], node["spec"]
    changes = changes_of(msgspec.convert(_bare(node), NodeView), host, leaving_keys)
    annotations = meta["annotations"] | changes.metadata.pop("annotations", {})
    metadata = meta | changes.metadata | {"annotations": annotations}
    return {**node, "metadata": metadata, "spec": spec | changes.spec}


def _bare(node: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": {"uid": "", **node["metadata"]}, "spec": node["spec"]}
