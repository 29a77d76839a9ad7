"""What a PersistentVolumeClaim stands for: a folder of the node, or why it cannot be had."""

from datetime import datetime
from typing import Any, Final

import msgspec

from pod_reconciler.domain.material import HostVolume, Lack
from pod_reconciler.domain.view import View
from pod_reconciler.domain.volume import HostPathSource

_BOUND: Final = "Bound"
_PROTECTION: Final = "kubernetes.io/pvc-protection"
_FILESYSTEM: Final = "Filesystem"
# What a PersistentVolume's spec has beside its source.
_NO_SOURCES: Final = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


class ClaimMetadata(View, frozen=True, kw_only=True, rename="camel"):
    """`metadata`."""

    uid: str
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()


class ClaimSpec(View, frozen=True, kw_only=True, rename="camel"):
    """`spec`."""

    volume_name: str = ""


class Claim(View, frozen=True, kw_only=True, rename="camel"):
    """A PersistentVolumeClaim."""

    metadata: ClaimMetadata
    spec: ClaimSpec = ClaimSpec()
    status: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Why no pod may use it; empty where one may."""
        metadata = self.metadata
        if metadata.deletion_timestamp is not None and _PROTECTION not in metadata.finalizers:
            return "PVC is being deleted"
        if self.status.get("phase") != _BOUND:
            return "PVC is not bound"
        return "" if self.spec.volume_name else "PVC has empty pvc.Spec.VolumeName"


claim_decoder: Final = msgspec.json.Decoder(Claim)


def volume_of(claim: Claim, name: str, spec: dict[str, Any]) -> HostVolume | Lack:
    """The folder that a PersistentVolume's spec names for this claim."""
    uid = (spec.get("claimRef") or {}).get("uid")
    if uid != claim.metadata.uid:
        return Lack(
            problem=f"found PV object {name} but its pv.Spec.ClaimRef.UID {uid or ''} "
            f"does not point to claim.UID {claim.metadata.uid}"
        )
    mode = spec.get("volumeMode") or _FILESYSTEM
    if mode != _FILESYSTEM:
        return Lack(problem=f"PV {name} has volumeMode {mode}, but is specified in volumeMounts")
    source = spec.get("hostPath") or spec.get("local")
    if source is None:
        kind = ", ".join(sorted(set(spec) - _NO_SOURCES)) or "none"
        return Lack(problem=f"PV {name} is of a type that this node cannot mount: {kind}")
    found = msgspec.convert(source, HostPathSource)
    # A local volume has to be there already; a hostPath may say otherwise.
    return HostVolume(path=found.path, path_type=found.type if "hostPath" in spec else "Directory")
