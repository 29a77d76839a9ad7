"""Whether a pod belongs on a Node at all: operating system, labels, taints. Pure.

A pod may be bound by `spec.nodeName` past the scheduler, so the node looks again, and with the
kubelet's own reasons and words.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

OS_LABEL: Final = "kubernetes.io/os"


class Rejection(msgspec.Struct, frozen=True):
    """Why a pod is not admitted: it ends Failed, and an Event of this reason says `message`."""

    reason: str
    message: str

    @property
    def status_message(self) -> str:
        """The pod's status.message."""
        return f"Pod was rejected: {self.message}"


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What admission has to know of the Node. `allocatable` as in its status: quantities."""

    labels: Mapping[str, str] = {}
    taints: tuple[Mapping[str, Any], ...] = ()
    allocatable: Mapping[str, str] = {}


def misplacement(pod: Mapping[str, Any], node: NodeFacts) -> Rejection | None:
    """The first reason why this pod may not be on this Node, in the kubelet's order."""
    spec = pod.get("spec") or {}
    selector = spec.get("nodeSelector") or {}
    node_os = node.labels.get(OS_LABEL, "")
    labels = (pod.get("metadata") or {}).get("labels") or {}
    # The kubelet compares the pod's *label* of this name; a selector means the same and more.
    if {selector.get(OS_LABEL, node_os), labels.get(OS_LABEL, node_os)} != {node_os}:
        return Rejection(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    if (spec.get("os") or {}).get("name", node_os) != node_os:
        return Rejection(
            "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
        )
    if any(node.labels.get(label) != value for label, value in selector.items()):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if any(not is_tolerated(taint, spec.get("tolerations") or ()) for taint in _evicting(node)):
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def is_tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of the tolerations fits the taint, as core/v1 defines it."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _evicting(node: NodeFacts) -> list[Mapping[str, Any]]:
    return [taint for taint in node.taints if taint.get("effect") == "NoExecute"]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    if toleration.get("operator") == "Exists":
        return True
    # Without a key only Exists means every taint.
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return bool(toleration.get("key")) and same_value


def _predicate(name: str, message: str) -> Rejection:
    return Rejection(name, f"Predicate {name} failed: {message}")
