"""Static pods in a cluster: run from a folder, shown in the API by mirror pods.

A static pod is run as the folder says, its status is kept in memory, and nothing of that waits for
the API server. Beside it, per name, the mirror is brought to what the static pod is: created,
deleted where it is another's or somebody deleted it, its status written. A mirror that the watch
shows goes here and never to the desk, with a folder and without one.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from contract.ids import NodeName, PodUid
from contract.messages.report import Occurrence
from pod_reconciler.domain.cluster import PodVersion, StatusWrite, Watcher
from pod_reconciler.domain.mirror import begun, bound_static, is_mirror
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.kube import KubeCluster
from pod_reconciler.lanes import Pace
from pod_reconciler.mirrors import MirrorKeeper
from pod_reconciler.static import StaticCluster

PATIENCE_S: Final = 1.0
"""How long a node's first static pods wait for the statuses that their mirrors hold."""


class MirroringCluster:
    """Implements `domain.cluster.Cluster` over an API server and, if there is one, a folder."""

    def __init__(
        self, kube: KubeCluster, folder: Path | None, interval_s: float, pace: Pace
    ) -> None:
        self._kube = kube
        self._pace = pace
        self._keepers: dict[NodeName, MirrorKeeper] = {}
        self._statics = (
            None
            if folder is None
            else StaticCluster(folder, interval_s, bind=bound_static, begin=self._begun)
        )
        if self._statics is not None:
            self._statics.load()

    async def follow(self, node: NodeName, watcher: Watcher) -> None:
        async with asyncio.TaskGroup() as tasks:
            keeper = MirrorKeeper(tasks, node, self._kube, self._statics, watcher, self._pace)
            self._keepers[node] = keeper
            both = _Both(watcher, has_folder=self._statics is not None)
            api_side = _ApiSide(watcher, keeper, both)
            tasks.create_task(self._kube.follow(node, api_side), name=f"follow-api-{node}")
            if self._statics is not None:
                folder_side = _FolderSide(watcher, keeper, both)
                tasks.create_task(
                    self._follow_folder(self._statics, node, folder_side, both.api_synced),
                    name=f"follow-folder-{node}",
                )

    def leave(self, node: NodeName) -> None:
        self._keepers.pop(node, None)
        self._kube.leave(node)
        if self._statics is not None:
            self._statics.leave(node)

    async def write_status(self, write: StatusWrite, timeout_s: float) -> PodVersion:
        statics = self._statics_of(write.pod)
        if statics is None:
            return await self._kube.write_status(write, timeout_s)
        version = await statics.write_status(write, timeout_s)
        self._mirror(write.pod)
        return version

    async def remove(self, pod: Pod, timeout_s: float) -> None:
        statics = self._statics_of(pod)
        if statics is None:
            await self._kube.remove(pod, timeout_s)
            return
        await statics.remove(pod, timeout_s)
        self._mirror(pod)

    async def find(self, namespace: str, name: str, timeout_s: float) -> Pod | None:
        # The API first: a pod of its own may have the name, and then its UID is what was asked for.
        found = await self._kube.find(namespace, name, timeout_s)
        if self._statics is None or (found is not None and not is_mirror(found)):
            return found
        return await self._statics.find(namespace, name, timeout_s) or found

    def tell(self, node: NodeName, pod: Pod, what: Occurrence) -> None:
        if self._statics_of(pod) is not None:
            # `kubectl describe` finds a mirror's Events by the static pod's UID; its version is
            # none of the API's.
            metadata = msgspec.structs.replace(pod.metadata, resource_version="")
            pod = msgspec.structs.replace(pod, metadata=metadata)
        self._kube.tell(node, pod, what)

    async def _follow_folder(
        self, statics: StaticCluster, node: NodeName, side: "_FolderSide", synced: asyncio.Event
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await synced.wait()
        await statics.follow(node, side)

    def _begun(self, pod: Json, *, is_anew: bool) -> Json:
        keeper = self._keepers.get(NodeName(pod["spec"]["nodeName"]))
        metadata = pod["metadata"]
        mirror = (
            None
            if keeper is None or is_anew
            else keeper.mirrors.of(metadata["namespace"], metadata["name"])
        )
        return begun(pod, mirror, datetime.now(UTC))

    def _statics_of(self, pod: Pod) -> StaticCluster | None:
        """The folder's pods, if this is one of them."""
        uid = PodUid(pod.metadata.uid)
        return self._statics if self._statics is not None and self._statics.pods.has(uid) else None

    def _mirror(self, pod: Pod) -> None:
        if (keeper := self._keepers.get(NodeName(pod.spec.node_name))) is not None:
            keeper.poke(pod.metadata.namespace, pod.metadata.name)


class _Both:
    """Everything has been shown when the API and the folder have."""

    def __init__(self, watcher: Watcher, *, has_folder: bool) -> None:
        self.api_synced = asyncio.Event()
        self.folder_shown = not has_folder
        self._watcher = watcher

    def synced(self) -> None:
        if self.api_synced.is_set() and self.folder_shown:
            self._watcher.synced()


class _Side:
    """What both sides hand on as it is."""

    def __init__(self, watcher: Watcher, keeper: MirrorKeeper, both: _Both) -> None:
        self._watcher = watcher
        self._keeper = keeper
        self._both = both
        self.write_timeout_s: Callable[[], float] = watcher.write_timeout_s
        self.remembers: Callable[[PodUid], bool] = watcher.remembers

    @property
    def node_uid(self) -> str:
        return self._watcher.node_uid


class _ApiSide(_Side):
    """Keeps the mirrors from the desk."""

    def pod_seen(self, version: PodVersion) -> None:
        if is_mirror(version.pod):
            self._keeper.mirror_seen(version.pod)
        else:
            self._watcher.pod_seen(version)

    def pod_gone(self, uid: PodUid) -> None:
        if not self._keeper.mirror_gone(uid):
            self._watcher.pod_gone(uid)

    def synced(self) -> None:
        self._both.api_synced.set()
        self._keeper.api_known()
        self._both.synced()


class _FolderSide(_Side):
    """Has each pod's mirror looked at."""

    def pod_seen(self, version: PodVersion) -> None:
        self._watcher.pod_seen(version)
        self._keeper.poke(version.pod.metadata.namespace, version.pod.metadata.name)

    def pod_gone(self, uid: PodUid) -> None:
        self._watcher.pod_gone(uid)

    def synced(self) -> None:
        self._both.folder_shown = True
        self._keeper.folder_known()
        self._both.synced()
