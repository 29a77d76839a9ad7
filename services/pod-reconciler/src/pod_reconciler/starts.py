"""The traces of one node's pods that start: each from its first sight to a status that shows it.

They follow a pod through the lanes and stay in memory alone. A leader that comes in between joins
what the node's reports tell of, or begins anew.
"""

import time
from typing import Final

from contract.ids import PodUid
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.tracking import NodeView
from servicekit.tracing import NO_SPAN, Span, Tracer, current

PATIENCE_S: Final = 600.0
"""A start that takes longer is told as far as it came, so that it can be seen at all."""
_PENDING: Final = frozenset({"", "Pending"})


class _Start:
    def __init__(self, span: Span) -> None:
        self.span = span
        self.until_s = time.monotonic() + PATIENCE_S


class Starts:
    """See the module. Without a tracer that records, there is never one under way."""

    def __init__(self, view: NodeView, tracer: Tracer) -> None:
        self._view = view
        self._tracer = tracer
        self._under_way: dict[PodUid, _Start] = {}

    def seen(self, version: PodVersion) -> Span:
        """The step of taking a pod in, where it is new and has yet to start."""
        metadata = version.pod.metadata
        uid = PodUid(metadata.uid)
        if uid in self._view.records or not self._is_to_start(uid, version.pod):
            return NO_SPAN
        attributes = {
            "k8s.pod.name": metadata.name,
            "k8s.namespace.name": metadata.namespace,
            "k8s.pod.uid": uid,
            "k8s.node.name": self._view.node,
        }
        if metadata.creation_timestamp:
            attributes["wasmlet.pod.created_at"] = metadata.creation_timestamp
        span = self._tracer.root("pod.start", attributes)
        self._follow(uid, span)
        return span.begin("pod.admit")

    def reported(self, uid: PodUid) -> None:
        """Join the start that a report belongs to, if it is another leader's.

        It is asked when the view has the report: what an executor makes up is not followed.
        """
        if uid not in self._under_way and self._is_tracked(uid):
            # The current step ends when the report is taken in, and what follows it is not over.
            self._follow(uid, self._tracer.arrived(current().headers))

    def of(self, uid: PodUid) -> Span:
        """The start of a pod, while it is under way."""
        start = self._under_way.get(uid)
        return NO_SPAN if start is None else start.span

    def look_at(self, uid: PodUid) -> None:
        """End a start whose end has been written, or will not be."""
        if uid not in self._under_way or uid in self._view.strangers:
            return
        record = self._view.records.get(uid)
        if record is None or record.pod is None:
            self._end(uid, "Deleted")
        elif record.pod.phase not in _PENDING:
            self._end(uid, _failure(record.pod))

    def give_up(self) -> None:
        """End what takes too long. Asked at every beat."""
        for uid, start in tuple(self._under_way.items()):
            if start.until_s < time.monotonic() or not self._is_tracked(uid):
                self._end(uid, "NotStartedInTime")

    def gone(self, uid: PodUid) -> None:
        """The pod's object is no more."""
        self._end(uid, "Deleted")

    def leave(self, why: str) -> None:
        """Nobody here sees to them any more."""
        for uid in tuple(self._under_way):
            self._end(uid, why)

    def _is_to_start(self, uid: PodUid, pod: Pod) -> bool:
        has_node = self._view.inventory is not None and uid in self._view.inventory
        is_ending = pod.metadata.deletion_timestamp is not None
        return not (has_node or is_ending or pod.was_started) and pod.phase in _PENDING

    def _is_tracked(self, uid: PodUid) -> bool:
        return uid in self._view.records or uid in self._view.strangers

    def _follow(self, uid: PodUid, span: Span) -> None:
        if span is not NO_SPAN:
            self._under_way[uid] = _Start(span)

    def _end(self, uid: PodUid, failure: str) -> None:
        start = self._under_way.pop(uid, None)
        if start is None:
            return
        if failure:
            start.span.failed(failure)
        start.span.end()


def _failure(pod: Pod) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "Deleted"
    return str(pod.status.get("reason") or "")
