"""The pods that a folder wants on each node, and how far they are: kept in memory, whole.

Every manifest is a pod on every node, unless it names its node. A manifest that goes away is a
deletion with the pod's own grace; one that changes is a deletion, and then a new pod.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import msgspec

from contract.ids import NodeName, PodUid
from pod_reconciler.domain.cluster import PodVersion, StatusWrite, Watcher
from pod_reconciler.domain.manifest import Manifest, bound, wants_node, with_status
from pod_reconciler.domain.planning import MAX_GRACE_S
from pod_reconciler.domain.pod import Json, Pod, decoder
from pod_reconciler.domain.times import api_time
from pod_reconciler.errors import ManifestError, PodAbsentError

MOST_OVER: Final = 10_000


class _Wanted(NamedTuple):
    """What a node is to have by these manifests: looked at each second, and seldom another."""

    manifests: tuple[Manifest, ...]
    pods: dict[PodUid, Json]
    refused: list[str]


class Begin(Protocol):
    """Completes a pod as it begins, for the first time or anew."""

    def __call__(self, pod: Json, /, *, is_anew: bool) -> Json: ...


def from_nothing(pod: Json, /, *, is_anew: bool) -> Json:
    """A pod of which nobody has told before."""
    del is_anew
    return pod


class StaticPods:
    """See the module. What it finds out it tells the watcher that it is given."""

    def __init__(
        self,
        bind: Callable[[Manifest, NodeName], Json] = bound,
        begin: Begin = from_nothing,
    ) -> None:
        """`bind` makes a manifest a node's pod; `begin` completes it when it is first shown."""
        self._bind = bind
        self._begin = begin
        self._pods: dict[PodUid, Json] = {}
        self._views: dict[PodUid, Pod] = {}
        self._uids: dict[NodeName, dict[PodUid, None]] = {}
        self._version = 0
        self._wanted: dict[NodeName, _Wanted] = {}
        self._gone: dict[NodeName, list[PodUid]] = {}
        self._over: dict[PodUid, None] = {}
        """Those whose end we have seen: should they come back, nothing of before is theirs. Of very
        many the oldest are forgotten; whatever showed them is long gone, too."""

    @property
    def refused(self) -> list[str]:
        """A line for each manifest that cannot be had on some node."""
        return [line for each in self._wanted.values() for line in each.refused]

    @property
    def views(self) -> list[Pod]:
        """All pods, as they are now."""
        return list(self._views.values())

    def has(self, uid: PodUid) -> bool:
        """Whether this is one of the folder's pods, be its manifest still there or not."""
        return uid in self._pods

    def names_on(self, node: NodeName) -> set[tuple[str, str]]:
        """Namespace and name of each of a node's pods."""
        return {_name(pod) for pod in self._on(node).values()}

    def pod_on(self, node: NodeName, namespace: str, name: str) -> Json | None:
        """The pod of this name on a node, as it is now."""
        named = (pod for pod in self._on(node).values() if _name(pod) == (namespace, name))
        return next(named, None)

    def show_known(self, node: NodeName, watcher: Watcher) -> None:
        """Show what an earlier term of leadership has shown, to a watcher that is no more."""
        for pod in self._on(node).values():
            watcher.pod_seen(self._keep(pod))

    def show_gone(self, node: NodeName, watcher: Watcher) -> None:
        """Show which pods were removed since the last look."""
        gone, self._gone[node] = self._gone.get(node, []), []
        for uid in gone:
            watcher.pod_gone(uid)

    def compare(
        self, manifests: Iterable[Manifest], node: NodeName, watcher: Watcher, now: datetime
    ) -> list[str]:
        """Show what the folder wants on a node; return what is wrong with it, where that is new."""
        wanted, problems = self._wants(tuple(manifests), node)
        here = self._on(node)
        for uid, pod in here.items():
            if uid not in wanted and "deletionTimestamp" not in pod["metadata"]:
                watcher.pod_seen(self._keep(_deleted(pod, now)))
        names = {_name(pod) for pod in here.values()}
        for uid, pod in wanted.items():
            # A changed pod begins when the one before it has gone; one whose manifest came back
            # has the UID that it had, and begins when its node has forgotten it.
            if uid not in here and _name(pod) not in names and not watcher.remembers(uid):
                watcher.pod_seen(self._keep(self._begin(pod, is_anew=uid in self._over)))
        return problems

    def write_status(self, write: StatusWrite) -> PodVersion:
        """Take in a status; raises `PodAbsentError`."""
        pod = self._find(PodUid(write.pod.metadata.uid))
        return self._keep(with_status(write.pod, pod, write.status))

    def remove(self, pod: Pod) -> None:
        """Nothing of it runs any more; raises `PodAbsentError`."""
        uid = PodUid(pod.metadata.uid)
        self._find(uid)
        del self._pods[uid], self._views[uid]
        del self._uids[NodeName(pod.spec.node_name)][uid]
        self._over.pop(uid, None)
        self._over[uid] = None
        if len(self._over) > MOST_OVER:
            del self._over[next(iter(self._over))]
        self._gone.setdefault(NodeName(pod.spec.node_name), []).append(uid)

    def leave(self, node: NodeName) -> None:
        """Forget what a node had: it has ended."""
        for uid in self._uids.pop(node, ()):
            del self._pods[uid], self._views[uid]
        self._wanted.pop(node, None)
        self._gone.pop(node, None)

    def _wants(
        self, manifests: tuple[Manifest, ...], node: NodeName
    ) -> tuple[dict[PodUid, Json], list[str]]:
        """What the folder wants on a node, but what cannot have its name there."""
        known = self._wanted.get(node)
        if known is not None and known.manifests == manifests:
            return known.pods, []
        wanted: dict[PodUid, Json] = {}
        refused: list[str] = []
        for manifest in manifests:
            if wants_node(manifest, node):
                try:
                    pod = self._bind(manifest, node)
                except ManifestError as error:
                    refused.append(str(error))
                else:
                    wanted[PodUid(pod["metadata"]["uid"])] = pod
        self._wanted[node] = _Wanted(manifests, wanted, refused)
        told = () if known is None else known.refused
        return wanted, [line for line in refused if line not in told]

    def _on(self, node: NodeName) -> dict[PodUid, Json]:
        return {uid: self._pods[uid] for uid in self._uids.get(node, ())}

    def _keep(self, pod: Json) -> PodVersion:
        self._version += 1
        pod = pod | {"metadata": pod["metadata"] | {"resourceVersion": str(self._version)}}
        raw = msgspec.json.encode(pod)
        view = decoder.decode(raw)
        uid = PodUid(view.metadata.uid)
        self._pods[uid], self._views[uid] = pod, view
        self._uids.setdefault(NodeName(view.spec.node_name), {})[uid] = None
        return PodVersion(view, raw, is_static=True)

    def _find(self, uid: PodUid) -> Json:
        pod = self._pods.get(uid)
        if pod is None:
            raise PodAbsentError(f"no static pod {uid}")
        return pod


def _deleted(pod: Json, now: datetime) -> Json:
    asked_s = decoder.decode(msgspec.json.encode(pod)).spec.termination_grace_period_seconds
    grace_s = min(max(asked_s, 0.0), MAX_GRACE_S)
    metadata = pod["metadata"] | {
        "deletionTimestamp": api_time(now + timedelta(seconds=grace_s)),
        "deletionGracePeriodSeconds": grace_s,
        "generation": pod["metadata"]["generation"] + 1,
    }
    return pod | {"metadata": metadata}


def _name(pod: Json) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
