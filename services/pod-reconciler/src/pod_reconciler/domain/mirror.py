"""Static pods in a cluster: what one is called there, and how its mirror shows it. Pure.

A static pod runs whether or not there is an API server. Its mirror is an API object that tells of
it: the same name and spec, a UID of its own, and the static pod's UID in an annotation. A mirror
is never run, and what is done to it is done to nothing else.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from contract.ids import NodeName
from kubekit.patches import status_patch
from pod_reconciler.domain.cluster import StatusWrite
from pod_reconciler.domain.manifest import Manifest
from pod_reconciler.domain.pod import TERMINAL_PHASES, Json, Pod, version_of
from pod_reconciler.domain.rendering import OWNERSHIP
from pod_reconciler.domain.times import api_time, time_of
from pod_reconciler.errors import ManifestError

CONFIG_HASH: Final = "kubernetes.io/config.hash"
CONFIG_SEEN: Final = "kubernetes.io/config.seen"
CONFIG_SOURCE: Final = "kubernetes.io/config.source"
CONFIG_MIRROR: Final = "kubernetes.io/config.mirror"
FROM_FILE: Final = "file"
MAX_NAME: Final = 253
_TOLERATES_ALL: Final = {"operator": "Exists", "effect": "NoExecute"}
"""So no taint of its node ends the mirror, which would end nothing."""
_OURS_ALONE: Final = ("uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")


type Name = tuple[str, str]
"""Namespace and name."""


class MirrorDue(StrEnum):
    """What has to be done about a mirror."""

    CREATE = "create"
    DELETE = "delete"
    STATUS = "status"


class Mirrors:
    """The newest known version of each mirror, from the watch and from answers to writes."""

    def __init__(self) -> None:
        self._pods: dict[Name, Pod] = {}

    @property
    def names(self) -> tuple[Name, ...]:
        """All names that have a mirror."""
        return tuple(self._pods)

    def of(self, namespace: str, name: str) -> Pod | None:
        """The mirror of this name."""
        return self._pods.get((namespace, name))

    def seen(self, mirror: Pod) -> None:
        """Take in a version, unless a newer one is known."""
        name = mirror.metadata.namespace, mirror.metadata.name
        known = self._pods.get(name)
        if known is None or version_of(mirror) == 0 or version_of(mirror) > version_of(known):
            self._pods[name] = mirror

    def gone(self, uid: str) -> Name | None:
        """Drop a mirror and return its name; None if this is no known one."""
        for name, mirror in self._pods.items():
            if mirror.metadata.uid == uid:
                del self._pods[name]
                return name
        return None


def bound_static(manifest: Manifest, node: NodeName) -> Json:
    """The pod on one node of a cluster, where its name must not clash with another node's.

    Raises `ManifestError` for a name that gets too long by that, as the kubelet refuses it.
    """
    pod = manifest.pod
    name = f"{pod['metadata']['name']}-{node.lower()}"
    if len(name) > MAX_NAME:
        problem = f"metadata.name: Invalid value: {name!r}: must be no more than 253 characters"
        raise ManifestError(manifest.source, problem)
    content = msgspec.json.encode([FROM_FILE, pod, node], order="deterministic")
    # 32 hexadecimal digits, as the kubelet's; the hash and the UID are one.
    uid = hashlib.sha256(content).hexdigest()[:32]
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = metadata.get("annotations", {}) | {
        CONFIG_HASH: uid,
        CONFIG_SOURCE: FROM_FILE,
    }
    # Nobody but the API knows of mirrors: a manifest that says it is one is none.
    annotations.pop(CONFIG_MIRROR, None)
    tolerations = [each for each in _items(spec.get("tolerations")) if each != _TOLERATES_ALL]
    return pod | {
        "metadata": metadata | {"name": name, "uid": uid, "annotations": annotations},
        "spec": spec | {"nodeName": node, "tolerations": [*tolerations, _TOLERATES_ALL]},
    }


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def begun(pod: Json, mirror: Pod | None, now: datetime) -> Json:
    """A static pod as it begins: it goes on from what its mirror shows of it.

    A mirror's end is not taken over: whether the pod has ended is the node's to know.
    """
    metadata, status = pod["metadata"], pod["status"]
    seen = api_time(now)
    if mirror is not None and is_mirror_of(mirror, metadata["uid"]):
        seen = mirror.metadata.annotations.get(CONFIG_SEEN, seen)
        status = {} if mirror.is_terminal else mirror.status
    annotations = metadata["annotations"] | {CONFIG_SEEN: seen}
    return pod | {"metadata": metadata | {"annotations": annotations}, "status": status}


def is_mirror(pod: Pod) -> bool:
    """Whether an API object only tells of a pod that its node has from a file."""
    return CONFIG_MIRROR in pod.metadata.annotations


def is_mirror_of(mirror: Pod, uid: str) -> bool:
    """Whether a mirror tells of this very static pod, and not of one before it."""
    return mirror.metadata.annotations.get(CONFIG_MIRROR) == uid


def mirror_of(pod: Json, node_uid: str) -> Json:
    """What is created in the API for a static pod. The mirror goes when its Node does."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in _OURS_ALONE}
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": pod["spec"]["nodeName"],
        "uid": node_uid,
        "controller": True,
    }
    metadata |= {
        "annotations": metadata["annotations"] | {CONFIG_MIRROR: pod["metadata"]["uid"]},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def mirror_due(pod: Json | None, mirror: Pod | None) -> MirrorDue | None:
    """What has to be done for one name: by the static pod that has it, and by the mirror."""
    if mirror is None:
        is_wanted = pod is not None and "deletionTimestamp" not in pod["metadata"]
        return MirrorDue.CREATE if is_wanted else None
    is_right = pod is not None and is_mirror_of(mirror, pod["metadata"]["uid"])
    if pod is None or not is_right or mirror.metadata.deletion_timestamp is not None:
        return MirrorDue.DELETE
    if _tells_of_another_life(mirror, pod["status"]):
        return MirrorDue.DELETE
    return None if mirror_write(pod, mirror) is None else MirrorDue.STATUS


def _tells_of_another_life(mirror: Pod, status: Json) -> bool:
    """Whether the pod has begun anew since, under the same UID: no status goes back that far."""
    since, before = status.get("startTime"), mirror.status.get("startTime")
    runs_again = mirror.is_terminal and status.get("phase", mirror.phase) not in TERMINAL_PHASES
    return runs_again or (since is not None and before is not None and since != before)


def mirror_write(pod: Json, mirror: Pod) -> StatusWrite | None:
    """The write that brings the static pod's status to its mirror; None if it has it."""
    status = _as_of(pod["status"], mirror)
    patch = status_patch(mirror.metadata.uid, mirror.status, status, OWNERSHIP)
    if not status or patch is None:
        return None
    return StatusWrite(pod=mirror, status=status, patch=patch)


def _as_of(status: Json, mirror: Pod) -> Json:
    """The status with the mirror's own generations, and its times of what has not changed."""
    known = {each["type"]: each for each in mirror.status.get("conditions") or ()}
    conditions = [
        _with_generation(_since(each, known.get(each["type"])), mirror)
        for each in status.get("conditions") or ()
    ]
    return _with_generation(status | ({"conditions": conditions} if conditions else {}), mirror)


def _with_generation(document: Json, mirror: Pod) -> Json:
    """A static pod's generation counts what its mirror never sees: its deletion."""
    generation, most = document.get("observedGeneration"), mirror.metadata.generation
    if generation is None or generation <= most:
        return document
    return document | {"observedGeneration": most}


def _since(condition: Json, before: Json | None) -> Json:
    """A condition that has held all the time holds since the earlier of two times."""
    if before is None or before.get("status") != condition.get("status"):
        return condition
    earlier, time = (time_of(each.get("lastTransitionTime")) for each in (before, condition))
    if earlier is None or time is None or earlier >= time:
        return condition
    return condition | {"lastTransitionTime": before["lastTransitionTime"]}
