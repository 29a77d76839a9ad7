"""Pods of a folder of manifests: statuses in memory, a file that tells of them.

Every manifest is a pod on every node, unless it names its node. A manifest that goes away is a
deletion with the pod's own grace; one that changes is a deletion, and then a new pod. Nothing here
needs an API server; where there is one, `mirroring` shows it these pods.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from contract.ids import NodeName, PodUid
from contract.messages.report import Occurrence
from contract.staticstatus import StaticStatus
from pod_reconciler.domain.cluster import PodVersion, StatusWrite, Watcher
from pod_reconciler.domain.manifest import Manifest, bound, wants_node, with_status
from pod_reconciler.domain.outcome import outcome_of
from pod_reconciler.domain.pod import Json, Pod, decoder
from pod_reconciler.domain.times import api_time
from pod_reconciler.errors import ActFailedError, ManifestError, PodAbsentError
from pod_reconciler.manifests import ManifestFolder

log = structlog.get_logger()


class StaticCluster:
    """Implements `domain.cluster.Cluster` over a folder."""

    def __init__(
        self,
        folder: Path,
        interval_s: float,
        *,
        status_file: Path | None = None,
        bind: Callable[[Manifest, NodeName], Json] = bound,
        begin: Callable[[Json], Json] = lambda pod: pod,
    ) -> None:
        """`bind` makes a manifest a node's pod; `begin` completes it when it is first shown."""
        self._folder = ManifestFolder(folder)
        self._interval_s = interval_s
        self._status_file = status_file
        self._bind = bind
        self._begin = begin
        self._pods: dict[PodUid, Json] = {}
        self._version = 0
        self._nodes: set[NodeName] = set()
        self._refused: dict[NodeName, list[str]] = {}
        self._told: StaticStatus | None = None
        self._gone: dict[NodeName, list[PodUid]] = {}
        self._changed: dict[NodeName, asyncio.Event] = {}

    def load(self) -> None:
        """Read the folder and say what is wrong with it, before any node is there."""
        self._folder.read()
        self._tell_outcome()

    @property
    def errors(self) -> list[str]:
        """A line for each manifest that cannot be used."""
        return [*self._folder.errors, *(line for each in self._refused.values() for line in each)]

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

    async def follow(self, node: NodeName, watcher: Watcher) -> None:
        self._folder.read()
        for pod in self._on(node).values():
            # An earlier term of leadership has shown these, to a watcher that is no more.
            watcher.pod_seen(self._keep(pod))
        self._compare(node, watcher)
        self._nodes.add(node)
        watcher.synced()
        self._tell_outcome()
        changed = self._changed[node] = asyncio.Event()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await changed.wait()
            changed.clear()
            self._folder.read()
            self._show_gone(node, watcher)
            self._compare(node, watcher)
            self._tell_outcome()

    async def write_status(self, write: StatusWrite, timeout_s: float) -> PodVersion:
        del timeout_s  # memory is quick
        pod = self._find(PodUid(write.pod.metadata.uid))
        version = self._keep(with_status(write.pod, pod, write.status))
        self._tell_outcome()
        return version

    async def remove(self, pod: Pod, timeout_s: float) -> None:
        del timeout_s
        uid = PodUid(pod.metadata.uid)
        self._find(uid)
        del self._pods[uid]
        node = NodeName(pod.spec.node_name)
        self._gone.setdefault(node, []).append(uid)
        if (changed := self._changed.get(node)) is not None:
            changed.set()

    async def find(self, namespace: str, name: str, timeout_s: float) -> Pod | None:
        del timeout_s
        for pod in self._views():
            if (pod.metadata.namespace, pod.metadata.name) == (namespace, name):
                return pod
        if self._folder.errors:
            # Its manifest may be the one that cannot be read: that is no reason to stop it.
            raise ActFailedError(f"{namespace}/{name} may be in a manifest that cannot be read")
        return None

    def tell(self, node: NodeName, pod: Pod, what: Occurrence) -> None:
        log.info(
            "pod.happened",
            node=node,
            namespace=pod.metadata.namespace,
            pod=pod.metadata.name,
            container=what.container,
            type=what.type,
            reason=what.reason,
            message=what.message,
        )

    def _compare(self, node: NodeName, watcher: Watcher) -> None:
        """Show the watcher what the folder wants on a node."""
        wanted, here = self._wanted(node), self._on(node)
        for uid, pod in here.items():
            if uid not in wanted and "deletionTimestamp" not in pod["metadata"]:
                watcher.pod_seen(self._keep(_deleted(pod)))
        names = {_name(pod) for pod in here.values()}
        for uid, pod in wanted.items():
            # A changed pod begins when the one before it has gone; one whose manifest came back
            # has the UID that it had, and begins when its node has forgotten it.
            if uid not in here and _name(pod) not in names and not watcher.remembers(uid):
                watcher.pod_seen(self._keep(self._begin(pod)))

    def _wanted(self, node: NodeName) -> dict[PodUid, Json]:
        """What the folder wants on a node, but what cannot have its name there."""
        wanted, refused = {}, []
        for manifest in self._folder.manifests:
            if wants_node(manifest, node):
                try:
                    pod = self._bind(manifest, node)
                except ManifestError as error:
                    refused.append(str(error))
                else:
                    wanted[PodUid(pod["metadata"]["uid"])] = pod
        for line in refused:
            if line not in self._refused.get(node, ()):
                log.error("manifest.refused", problem=line)
        self._refused[node] = refused
        return wanted

    def _show_gone(self, node: NodeName, watcher: Watcher) -> None:
        """Show the watcher which pods were removed since the last look."""
        gone, self._gone[node] = self._gone.get(node, []), []
        for uid in gone:
            watcher.pod_gone(uid)

    def _on(self, node: NodeName) -> dict[PodUid, Json]:
        return {uid: pod for uid, pod in self._pods.items() if pod["spec"]["nodeName"] == node}

    def _keep(self, pod: Json) -> PodVersion:
        self._version += 1
        pod = pod | {"metadata": pod["metadata"] | {"resourceVersion": str(self._version)}}
        self._pods[PodUid(pod["metadata"]["uid"])] = pod
        raw = msgspec.json.encode(pod)
        return PodVersion(decoder.decode(raw), raw, is_static=True)

    def _find(self, uid: PodUid) -> Json:
        pod = self._pods.get(uid)
        if pod is None:
            raise PodAbsentError(f"no static pod {uid}")
        return pod

    def _views(self) -> list[Pod]:
        return [msgspec.convert(pod, Pod) for pod in self._pods.values()]

    def _tell_outcome(self) -> None:
        outcome = outcome_of(self._views(), self.errors, loaded=bool(self._nodes))
        if outcome == self._told:
            return
        self._told = outcome
        if self._status_file is not None:
            _write_whole(self._status_file, msgspec.json.encode(outcome))


def _deleted(pod: Json) -> Json:
    grace_s = decoder.decode(msgspec.json.encode(pod)).spec.termination_grace_period_seconds
    metadata = pod["metadata"] | {
        "deletionTimestamp": api_time(datetime.now(UTC) + timedelta(seconds=grace_s)),
        "deletionGracePeriodSeconds": grace_s,
        "generation": pod["metadata"]["generation"] + 1,
    }
    return pod | {"metadata": metadata}


def _name(pod: Json) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _write_whole(file: Path, content: bytes) -> None:
    """Replace a file in one step: a reader sees the old or the new one, never half."""
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.write_bytes(content)
        draft.replace(file)
    except OSError as error:
        log.error("status_file.failed", file=str(file), reason=str(error))  # noqa: TRY400 - one line says it
