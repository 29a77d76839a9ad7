"""Pods with one volume, and their plans with what the API holds for them."""

import hashlib
from typing import Any

import msgspec
from reconciler_samples import AROUND, pod_json, pod_of

from contract.messages.pod import ContainerPlan
from contract.messages.volume import (
    Files,
    VolumePlan,
)
from pod_reconciler.domain.material import (
    Content,
    HostVolume,
    Kind,
    Lack,
    Material,
    ObjectKey,
    TokenKey,
)
from pod_reconciler.domain.planning import Planned, planned
from pod_reconciler.domain.surroundings import Allocatable

MATERIAL = Material(
    objects={
        ObjectKey(Kind.CONFIG_MAP, "c"): Content(
            data={"a.txt": b"A", "b.txt": b"BB"}, binary={"raw": b"\xff\x00"}
        ),
        ObjectKey(Kind.SECRET, "s"): Content(data={"key": b"t0p"}),
        ObjectKey(Kind.CONFIG_MAP, "gone"): Lack(
            problem='configmap "gone" not found', is_absent=True
        ),
        ObjectKey(Kind.SECRET, "gone"): Lack(problem='secret "gone" not found', is_absent=True),
    },
    tokens={TokenKey("", 3607): "the.token", TokenKey("vault", 600): Lack(problem="no")},
    claims={
        "disk": HostVolume(path="/mnt/disk", path_type="Directory"),
        "lost": Lack(problem="error processing PVC default/lost: PVC is not bound"),
    },
)
VAULT = {"path": "t", "audience": "vault", "expirationSeconds": 600}
ROOM = Allocatable(cpu_millis=2000, memory_bytes=2**30, ephemeral_storage_bytes=2**30)
AROUND_MATERIAL = msgspec.structs.replace(AROUND, material=MATERIAL, allocatable=ROOM)


def with_volume(source: dict[str, Any], mount: dict[str, Any] | None = None) -> Planned:
    json = pod_json(volumes=[{"name": "v", **source}])
    json["metadata"] |= {"labels": {"b": "2", "a": 'say "1"\n'}, "annotations": {"n": "ü\u200b"}}
    json["spec"]["containers"][0] |= {
        "volumeMounts": [{"name": "v", "mountPath": "/v"} | (mount or {})],
        "env": [{"name": "NAME", "value": "n"}, {"name": "EMPTY"}],
    }
    return planned(pod_of(json), AROUND_MATERIAL)


def volume_plan(source: dict[str, Any]) -> VolumePlan:
    (plan,) = with_volume(source).plan.volumes
    assert plan.name == "v"
    return plan


def files(source: dict[str, Any]) -> dict[str, tuple[bytes, int]]:
    """The volume's files: content and mode by path."""
    made = with_volume(source)
    (plan,) = made.plan.volumes
    assert isinstance(plan.source, Files), plan.missing
    assert all(
        hashlib.sha256(made.blobs[file.blob]).hexdigest() == file.blob
        and len(made.blobs[file.blob]) == file.size_bytes
        for file in plan.source.files
    )
    return {file.path: (made.blobs[file.blob], file.mode) for file in plan.source.files}


def mounted(mount: dict[str, Any], source: dict[str, Any] | None = None) -> ContainerPlan:
    return with_volume(source or {"emptyDir": {}}, mount).plan.containers[0]
