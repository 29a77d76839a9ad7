"""What a node's desk needs of the place where pods come from: an API server, or a folder."""

from typing import NamedTuple, Protocol

import msgspec

from contract.ids import NodeName, PodUid
from contract.messages.report import Occurrence
from pod_reconciler.domain.admission import UNKNOWN_PLACE
from pod_reconciler.domain.pod import Json, Pod
from podspec.placement import NodeFacts


class PodVersion(NamedTuple):
    """A pod as read, and the bytes that it was read from."""

    pod: Pod
    raw: bytes
    place: NodeFacts = UNKNOWN_PLACE
    """What the Node object says of the place where it is."""
    is_static: bool = False
    """Whether it comes from a folder: then it waits for no API server."""
    waits_for_material: bool = False
    """Whether objects of the API server have to be read for it before it is planned."""


class StatusWrite(msgspec.Struct, frozen=True, kw_only=True):
    """A status to be written: the whole of it, and the strategic merge that leads there."""

    pod: Pod
    status: Json
    patch: bytes


class Watcher(Protocol):
    """Who is told what the watch of one node shows, and who knows the node."""

    @property
    def node_uid(self) -> str:
        """The UID of the Node object; empty while nobody has said it."""
        ...

    def pod_seen(self, version: PodVersion) -> None:
        """A pod is new or has changed."""

    def pod_gone(self, uid: PodUid) -> None:
        """A pod's object is gone, for certain."""

    def remembers(self, uid: PodUid) -> bool:
        """Whether something is left to do about a pod of this UID, be its object gone or not."""
        ...

    def synced(self) -> None:
        """Everything that there is has been shown."""

    def write_timeout_s(self) -> float:
        """How long a write sent now may take; raises `NotLeadingError`."""
        ...


class Cluster(Protocol):
    """Where pods come from and where their status goes.

    Writes hit one UID only. They raise `PodAbsentError` where that pod is not there,
    `WriteRefusedError` where trying again soon is no use, `ActFailedError` where it is.
    """

    async def follow(self, node: NodeName, watcher: Watcher) -> None:
        """Tell the watcher about the pods of a node, until cancelled."""

    def leave(self, node: NodeName) -> None:
        """Keep nothing of a node that has ended and is not followed any more."""

    async def write_status(self, write: StatusWrite, timeout_s: float) -> PodVersion:
        """Write a status; the pod as it is then."""
        ...

    async def remove(self, pod: Pod, timeout_s: float) -> None:
        """Delete the pod's object at once: nothing of it runs any more."""

    async def find(self, namespace: str, name: str, timeout_s: float) -> Pod | None:
        """The pod of this name; None if there is certainly none."""
        ...

    def tell(self, node: NodeName, pod: Pod, what: Occurrence) -> None:
        """Tell users what happened to a pod; never waits."""
