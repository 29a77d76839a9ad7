"""Whether a pod belongs on a Node at all: operating system, labels, taints. Pure.

A pod may be bound by `spec.nodeName` past the scheduler, so the node looks again, and with the
kubelet's own reasons and words.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from podspec.affinity import wants_node

OS_LABEL: Final = "kubernetes.io/os"


class Rejection(msgspec.Struct, frozen=True):
    """Why a pod is not admitted: it ends Failed, and an Event of this reason says `message`."""

    reason: str
    message: str


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What admission has to know of the Node. `allocatable` as in its status: quantities."""

    name: str = ""
    labels: Mapping[str, str] | None = None
    """None where there is no Node object, or none that may be read: place is then not judged."""
    taints: tuple[Mapping[str, Any], ...] = ()
    allocatable: Mapping[str, str] = {}


def wrong_os(pod: Mapping[str, Any], node: NodeFacts) -> Rejection | None:
    """Why the Node's operating system is not the pod's, which no room would mend.

    The kubelet looks at the pod's own *label*; the label in a nodeSelector is part of the affinity.
    """
    if node.labels is None:
        return None
    node_os = node.labels.get(OS_LABEL, "")
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if labels.get(OS_LABEL, node_os) != node_os:
        return Rejection(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    if ((pod.get("spec") or {}).get("os") or {}).get("name", node_os) != node_os:
        return Rejection(
            "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
        )
    return None


def wrong_node(pod: Mapping[str, Any], node: NodeFacts) -> Rejection | None:
    """Why the pod asks for other Nodes than this one."""
    if node.labels is None or wants_node(pod, node.name, node.labels):
        return None
    return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")


def untolerated(pod: Mapping[str, Any], node: NodeFacts) -> Rejection | None:
    """Why the Node throws the pod out. Other taints than NoExecute are the scheduler's."""
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    if all(is_tolerated(taint, tolerations) for taint in _evicting(node)):
        return None
    return predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")


def misplacement(pod: Mapping[str, Any], node: NodeFacts) -> Rejection | None:
    """Why this pod may not be on this Node, whatever else is there."""
    return wrong_os(pod, node) or wrong_node(pod, node) or untolerated(pod, node)


def is_tolerated(taint: Mapping[str, Any], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of the tolerations fits the taint, as core/v1 defines it."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def predicate(name: str, message: str) -> Rejection:
    """A rejection in the form that the kubelet gives to the scheduler's predicates."""
    return Rejection(name, f"Predicate {name} failed: {message}")


def _evicting(node: NodeFacts) -> list[Mapping[str, Any]]:
    return [taint for taint in node.taints if taint.get("effect") == "NoExecute"]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            # Without a key only Exists means every taint.
            same_value = (toleration.get("value") or "") == (taint.get("value") or "")
            return bool(toleration.get("key")) and same_value
        case _:
            return False  # Lt and Gt are alpha, and off
