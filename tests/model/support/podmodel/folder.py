"""Static pods: a folder of manifests, what a leader makes of it, and their mirrors in the API."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from contract.ids import NodeName, PodUid
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.manifest import Manifest, manifest_of
from pod_reconciler.domain.mirror import (
    CONFIG_MIRROR,
    MirrorDue,
    Mirrors,
    begun,
    bound_static,
    is_mirror,
    mirror_due,
    mirror_of,
    mirror_write,
)
from pod_reconciler.domain.pod import Pod, pod_from_json
from pod_reconciler.domain.staticpods import StaticPods
from pod_reconciler.domain.tracking import NodeView
from podmodel.apiserver import NODE, ApiServer
from podmodel.clock import Clock
from podmodel.validation import Json

NODE_UID: Final = "n-1"
_NODE: Final = NodeName(NODE)


class Folder:
    """Survives every leader."""

    def __init__(self) -> None:
        self._manifests: dict[str, Manifest] = {}

    @property
    def names(self) -> list[str]:
        return list(self._manifests)

    @property
    def manifests(self) -> list[Manifest]:
        return list(self._manifests.values())

    def put(self, name: str, spec: Json) -> None:
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self._manifests[name] = manifest_of(document, name, Path("/"))

    def spec(self, name: str) -> Json:
        spec: Json = self._manifests[name].pod["spec"]
        return spec

    def drop(self, name: str) -> Json:
        """Take it away, and return its spec."""
        spec = self.spec(name)
        del self._manifests[name]
        return spec


class Statics:
    """One leader's: what it remembers of the folder is lost with it. It watches for its view."""

    def __init__(
        self,
        folder: Folder,
        api: ApiServer,
        clock: Clock,
        view: NodeView,
        on_begun: Callable[[str, Json], None],
    ) -> None:
        self.pods = StaticPods(bound_static, self._begun)
        self.mirrors = Mirrors()
        self.node_uid = NODE_UID
        self._folder = folder
        self._api = api
        self._clock = clock
        self._view = view
        self._on_begun = on_begun
        self._shown = 0

    # What it sees

    def look(self) -> bool:
        """Look into the folder; say whether there was anything new."""
        before = self._shown
        self.pods.show_gone(_NODE, self)
        problems = self.pods.compare(self._folder.manifests, _NODE, self, self._clock.steady)
        assert not problems
        return self._shown != before

    def see(self, pod: Pod) -> bool:
        """Keep a mirror from the desk; False if it is none."""
        if is_mirror(pod):
            self.mirrors.seen(pod)
            return True
        return False

    def _begun(self, pod: Json, *, is_anew: bool) -> Json:
        metadata = pod["metadata"]
        self._on_begun(metadata["uid"], pod["spec"])
        mirror = None if is_anew else self.mirrors.of(metadata["namespace"], metadata["name"])
        return begun(pod, mirror, self._clock.steady)

    # What its pods are told to, as a `Watcher`

    def pod_seen(self, version: PodVersion) -> None:
        self._shown += 1
        self._view.on_pod(version, self._clock.mono)

    def pod_gone(self, uid: PodUid) -> None:
        self._shown += 1
        self._view.on_object_gone(uid, by_watch=True)

    def remembers(self, uid: PodUid) -> bool:
        return uid in self._view.records

    def synced(self) -> None:
        pass

    def write_timeout_s(self) -> float:
        return 1.0

    # Mirrors

    @property
    def names(self) -> set[tuple[str, str]]:
        return {*self.mirrors.names, *self.pods.names_on(_NODE)}

    def due(self, name: tuple[str, str]) -> MirrorDue | None:
        return mirror_due(self.pods.pod_on(_NODE, *name), self.mirrors.of(*name))

    def do(self, name: tuple[str, str], *, unheard: bool) -> None:
        """Do what is due for a mirror. `unheard`: the answer is lost."""
        pod, mirror = self.pods.pod_on(_NODE, *name), self.mirrors.of(*name)
        match mirror_due(pod, mirror):
            case MirrorDue.CREATE if pod is not None:
                raw = self._api.create_mirror(mirror_of(pod, NODE_UID))
                if not unheard:
                    self.mirrors.seen(pod_from_json(raw))
            case MirrorDue.DELETE if mirror is not None:
                if mirror.metadata.uid in self._api.pods:
                    self._api.remove(mirror.metadata.uid)
                if not unheard:
                    self.mirrors.gone(mirror.metadata.uid)
            case MirrorDue.STATUS if pod is not None and mirror is not None:
                self._write(pod, mirror, unheard=unheard)

    def _write(self, pod: Json, mirror: Pod, *, unheard: bool) -> None:
        write = mirror_write(pod, mirror)
        assert write is not None
        raw = self._api.patch_status(mirror.metadata.uid, write.patch)
        if unheard:
            return
        if raw is None:
            self.mirrors.gone(mirror.metadata.uid)
        else:
            self.mirrors.seen(pod_from_json(raw))


def own_uid(pod: Json) -> str:
    """The UID by which its node knows a pod that the API shows."""
    metadata = pod["metadata"]
    return str(metadata.get("annotations", {}).get(CONFIG_MIRROR, metadata["uid"]))


def is_shown_as_mirror(pod: Json) -> bool:
    return bool(own_uid(pod) != pod["metadata"]["uid"])


def as_pod(document: Json) -> Pod:
    return pod_from_json(msgspec.json.encode(document))
