"""The mirror pods of one node, and the work of keeping each like the static pod that it shows."""

import asyncio
from typing import Final

import structlog

from contract.ids import NodeName, PodUid
from pod_reconciler.domain.cluster import Watcher
from pod_reconciler.domain.mirror import (
    MirrorDue,
    Mirrors,
    is_mirror,
    mirror_due,
    mirror_of,
    mirror_write,
)
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.errors import (
    ActFailedError,
    NameTakenError,
    PodAbsentError,
    WriteRefusedError,
)
from pod_reconciler.kube import KubeCluster
from pod_reconciler.lanes import Lane, Pace, guarded
from pod_reconciler.static import StaticCluster

log = structlog.get_logger()

LOOK_AGAIN_S: Final = 1.0
"""How long to wait for what nothing announces: the Node's UID, a folder that can be read."""


class MirrorKeeper:
    """One lane per name: what the static pod and its mirror are decides what is done next."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        node: NodeName,
        kube: KubeCluster,
        statics: StaticCluster | None,
        watcher: Watcher,
        pace: Pace,
    ) -> None:
        self.mirrors = Mirrors()
        self._node = node
        self._kube = kube
        self._statics = statics
        self._watcher = watcher
        self._api_known = False
        self._folder_known = statics is None
        self._lane = Lane(tasks, f"mirror-{node}", guarded(self._step), pace)

    def mirror_seen(self, mirror: Pod) -> None:
        """The watch shows a mirror."""
        self.mirrors.seen(mirror)
        self.poke(mirror.metadata.namespace, mirror.metadata.name)

    def mirror_gone(self, uid: PodUid) -> bool:
        """The watch shows that an object is gone; False if that was no mirror."""
        name = self.mirrors.gone(uid)
        if name is not None:
            self.poke(*name)
        return name is not None

    def api_known(self) -> None:
        """The watch has shown every mirror that there is."""
        self._api_known = True
        self._poke_all()

    def folder_known(self) -> None:
        """Every static pod has been shown."""
        self._folder_known = True
        self._poke_all()

    def poke(self, namespace: str, name: str) -> None:
        """Something about this name has changed."""
        self._lane.poke(PodUid(f"{namespace}/{name}"))  # a mirror has no UID before it is there

    def _poke_all(self) -> None:
        statics = () if self._statics is None else self._statics.pods.names_on(self._node)
        for name in {*self.mirrors.names, *statics}:
            self.poke(*name)

    async def _step(self, key: PodUid) -> float | None:
        if not (self._api_known and self._folder_known):
            return None  # both announce themselves
        namespace, _, name = key.partition("/")
        pod = (
            None
            if self._statics is None
            else self._statics.pods.pod_on(self._node, namespace, name)
        )
        mirror = self.mirrors.of(namespace, name)
        match mirror_due(pod, mirror):
            case MirrorDue.CREATE if pod is not None:
                return await self._create(pod)
            case MirrorDue.DELETE if mirror is not None:
                return await self._delete(pod, mirror)
            case MirrorDue.STATUS if pod is not None and mirror is not None:
                return await self._write(pod, mirror)
        return None

    async def _create(self, pod: Json) -> float:
        node_uid = self._watcher.node_uid
        if not node_uid:
            return LOOK_AGAIN_S
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        timeout_s = self._watcher.write_timeout_s()
        try:
            mirror = await self._kube.create(namespace, mirror_of(pod, node_uid), timeout_s)
        except NameTakenError as error:
            found = await self._kube.find(namespace, name, self._watcher.write_timeout_s())
            if found is None or not is_mirror(found):
                raise ActFailedError(
                    f"{namespace}/{name} cannot have its mirror: {error}"
                ) from error
            mirror = found
        else:
            self._tell("mirror.created", mirror)
        self.mirrors.seen(mirror)
        return 0.0

    async def _delete(self, pod: Json | None, mirror: Pod) -> float:
        if pod is None and self._statics is not None and self._statics.errors:
            return LOOK_AGAIN_S  # its manifest may be the one that cannot be read
        try:
            await self._kube.remove(mirror, self._watcher.write_timeout_s())
        except PodAbsentError:
            pass  # then somebody else has deleted it
        except WriteRefusedError as error:
            raise ActFailedError(str(error)) from error
        else:
            self._tell("mirror.deleted", mirror)
        self.mirrors.gone(mirror.metadata.uid)
        return 0.0

    async def _write(self, pod: Json, mirror: Pod) -> float:
        write = mirror_write(pod, mirror)
        assert write is not None, "that it is due was just found"
        try:
            version = await self._kube.write_status(write, self._watcher.write_timeout_s())
        except PodAbsentError:
            self.mirrors.gone(mirror.metadata.uid)
        except WriteRefusedError as error:
            raise ActFailedError(str(error)) from error
        else:
            self.mirrors.seen(version.pod)
        return 0.0

    def _tell(self, event: str, mirror: Pod) -> None:
        metadata = mirror.metadata
        log.info(event, node=self._node, namespace=metadata.namespace, pod=metadata.name)
