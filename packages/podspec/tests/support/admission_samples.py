"""A node and pods for the tests of admission, and what the kubelet says of those it rejects."""

from collections.abc import Callable
from typing import Any

from podspec.admission import admit
from podspec.occupancy import Occupancy
from podspec.placement import NodeFacts, Rejection

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]

WASM = {"kubernetes.io/os": "wasi", "kubernetes.io/arch": "wasm32-wasi"}
NODE = NodeFacts(
    name="n1",
    labels=WASM,
    allocatable={"cpu": "2", "memory": "100Mi", "pods": "3", "ephemeral-storage": "1G"},
)
OS_LABEL_REJECTION = Rejection(
    "PodOSSelectorNodeLabelDoesNotMatch",
    "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
)
AFFINITY = Rejection(
    "NodeAffinity",
    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
)
TAINTED = Rejection(
    "TaintToleration",
    "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
)
PORTS = Rejection(
    "NodePorts",
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
)


def beside(*pods: Pod) -> Occupancy:
    """What these pods take."""
    taken = Occupancy()
    for number, pod in enumerate(pods):
        taken.take(str(number), pod)
    return taken


def rejection_of(pod: Pod, node: NodeFacts = NODE, *others: Pod) -> Rejection | None:
    return admit(pod, node, beside(*others)).rejection


def taking(make_pod: MakePod, **requests: str) -> Pod:
    return make_pod(container={"resources": {"requests": requests}})
