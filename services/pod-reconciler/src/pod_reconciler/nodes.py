"""What the Node objects say, for admission: labels and taints.

The Nodes of this reconciler are watched, each by its name, as a kubelet watches its own: judging a
pod then asks nobody. While that watch does not stand, a pod that the scheduler has just put
somewhere is judged by what is remembered, and one that names its node itself, and met no scheduler,
by what the API server remembers. One that seems out of place may have been put there by a label
that is newer than any memory: before it is turned away the Node is read as it is, since a pod is
judged only once.
"""

import time
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from contract.ids import NodeName
from kubekit.changes import Change
from kubekit.client import Api
from kubekit.errors import ApiError
from kubekit.listing import Source
from kubekit.reflector import Pace, Reflector
from pod_reconciler.domain.admission import UNKNOWN_PLACE
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.mirror import is_mirror
from pod_reconciler.domain.pod import Json, Pod
from podspec.placement import NodeFacts, misplacement

log = structlog.get_logger()

REMEMBERED_S: Final = 60.0
_NODES: Final = "/api/v1/nodes"
_TIMEOUT_S: Final = 5.0
_AS_REMEMBERED: Final = {"resourceVersion": "0"}
"""By the API server, whose watch of etcd may lag by moments."""
_AS_IT_IS: Final[Mapping[str, str]] = {}


class _Metadata(msgspec.Struct, frozen=True):
    name: str
    labels: dict[str, str] = {}


class _Spec(msgspec.Struct, frozen=True):
    taints: tuple[Json, ...] = ()


class _Node(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()


_DECODER: Final = msgspec.json.Decoder(_Node)


def _facts_of(data: bytes | msgspec.Raw) -> NodeFacts:
    found = _DECODER.decode(data)
    metadata = found.metadata
    return NodeFacts(name=metadata.name, labels=metadata.labels, taints=found.spec.taints)


async def _kept_in_store(_: Change[NodeFacts]) -> None:
    """The reflector's own store is all that is wanted."""


class Nodes:
    """The Node objects, one by one."""

    def __init__(self, api: Api, pace: Pace) -> None:
        self._api = api
        self._pace = pace
        self._followed: dict[NodeName, Reflector[NodeFacts]] = {}
        self._known: dict[NodeName, tuple[NodeFacts, float]] = {}

    async def follow(self, node: NodeName) -> None:
        """Keep in view what a Node says, until cancelled."""
        source = Source(path=_NODES, field_selector=f"metadata.name={node}")
        reflector = self._followed[node] = Reflector(
            self._api, source, decode=_facts_of, deliver=_kept_in_store, pace=self._pace
        )
        try:
            await reflector.run()
        finally:
            if self._followed.get(node) is reflector:
                del self._followed[node]
                self._known.pop(node, None)

    async def placed(self, version: PodVersion, node: NodeName) -> PodVersion:
        """The pod with what is to be known of its place, where it is still to be judged."""
        if not _is_to_be_judged(version.pod):
            return version
        place = self._in_view(node)
        if place is None:
            place = await self._remembered(version.pod, node)
        if _is_misplaced(version, place):
            place = await self._read(node, _AS_IT_IS)
        return version._replace(place=place)

    def _in_view(self, node: NodeName) -> NodeFacts | None:
        """What the watch shows of a Node, while it stands."""
        reflector = self._followed.get(node)
        if reflector is None or not reflector.reachable:
            return None
        return next(iter(reflector.store.values()), None)

    async def _remembered(self, pod: Pod, node: NodeName) -> NodeFacts:
        place, read_at_s = self._known.get(node, (UNKNOWN_PLACE, float("-inf")))
        is_recent = time.monotonic() - read_at_s < REMEMBERED_S
        if is_recent and was_scheduled(pod):
            return place
        return await self._read(node, _AS_REMEMBERED)

    async def _read(self, node: NodeName, query: Mapping[str, str]) -> NodeFacts:
        """The Node; where it cannot be had, nothing: whoever chose it has judged."""
        place, path = UNKNOWN_PLACE, f"{_NODES}/{node}"
        try:
            answer = await self._api.request("GET", path, query=query, timeout_s=_TIMEOUT_S)
            place = _facts_of(answer.body)
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
