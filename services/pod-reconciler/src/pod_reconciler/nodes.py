"""What the Node objects say, for admission: labels and taints, read by name and remembered.

A pod that the scheduler has just put somewhere is judged by what is remembered. One that names its
node itself met no scheduler: for it the Node is read anew, from the API server's own memory, which
is as new as what a kubelet's watch shows and costs no way to etcd. One that seems out of place may
have been put there by a label that is newer than any memory: before it is turned away the Node is
read as it is, since a pod is judged only once.
"""

import time
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from contract.ids import NodeName
from kubekit.client import Api
from kubekit.errors import ApiError
from pod_reconciler.domain.admission import UNKNOWN_PLACE
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.mirror import is_mirror
from pod_reconciler.domain.pod import Json, Pod
from podspec.placement import NodeFacts, misplacement

log = structlog.get_logger()

REMEMBERED_S: Final = 60.0
_TIMEOUT_S: Final = 5.0
_AS_REMEMBERED: Final = {"resourceVersion": "0"}
"""By the API server, whose watch of etcd may lag by moments."""
_AS_IT_IS: Final[Mapping[str, str]] = {}


class _Metadata(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct, frozen=True):
    taints: tuple[Json, ...] = ()


class _Node(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()


_DECODER: Final = msgspec.json.Decoder(_Node)


class Nodes:
    """The Node objects, one by one."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[NodeName, tuple[NodeFacts, float]] = {}

    async def placed(self, version: PodVersion, node: NodeName) -> PodVersion:
        """The pod with what is to be known of its place, where it is still to be judged."""
        if not _is_to_be_judged(version.pod):
            return version
        place, read_at_s = self._known.get(node, (UNKNOWN_PLACE, float("-inf")))
        is_recent = time.monotonic() - read_at_s < REMEMBERED_S
        if not (is_recent and was_scheduled(version.pod)):
            place = await self._read(node, _AS_REMEMBERED)
        if _is_misplaced(version, place):
            place = await self._read(node, _AS_IT_IS)
        return version._replace(place=place)

    async def _read(self, node: NodeName, query: Mapping[str, str]) -> NodeFacts:
        """The Node; where it cannot be had, nothing: whoever chose it has judged."""
        place, path = UNKNOWN_PLACE, f"/api/v1/nodes/{node}"
        try:
            answer = await self._api.request("GET", path, query=query, timeout_s=_TIMEOUT_S)
            found = _DECODER.decode(answer.body)
            place = NodeFacts(name=node, labels=found.metadata.labels, taints=found.spec.taints)
        except (ApiError, msgspec.DecodeError) as error:
            log.warning("node.unknown", node=node, reason=str(error))
        self._known[node] = place, time.monotonic()
        return place


def _is_to_be_judged(pod: Pod) -> bool:
    is_over = pod.is_terminal or pod.metadata.deletion_timestamp is not None
    return not (is_over or pod.was_started or is_mirror(pod))


def was_scheduled(pod: Pod) -> bool:
    """Whether a scheduler chose the node; a pod that names it at creation shows no such thing."""
    conditions = pod.status.get("conditions") or ()
    return any(each.get("type") == "PodScheduled" for each in conditions)


def _is_misplaced(version: PodVersion, place: NodeFacts) -> bool:
    return misplacement(msgspec.json.decode(version.raw), place) is not None
