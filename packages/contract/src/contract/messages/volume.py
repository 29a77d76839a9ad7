"""What a pod's volumes hold, and where its containers see them.

What a volume is made of has been read from the API by the reconciler: an executor needs no object.
Contents travel as blobs by digest, so that many pods of a node share one copy on the way.
"""

from typing import Final

import msgspec

from contract.messages.pull import PullPolicy

DEFAULT_MODE: Final = 0o644


class VolumeFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a volume: its path below the volume, and the blob that is its content."""

    path: str
    blob: str
    """64 hexadecimal digits; see `BlobRead`."""
    size_bytes: int = 0
    mode: int = DEFAULT_MODE


class Files(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="files"):
    """A configMap, secret, downwardAPI or projected volume: whole, replaced atomically."""

    files: tuple[VolumeFile, ...] = ()


class EmptyDir(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="empty_dir"):
    """A folder of the pod's own, as long as the pod lives."""

    memory: bool = False
    size_limit_bytes: int | None = None


class HostPath(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="host_path"):
    """A path of the node; `path_type` is `hostPath.type`. A local or hostPath claim is one too:
    `claim` is its name.
    """

    path: str
    path_type: str = ""
    claim: str = ""


class ImageVolume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="image"):
    """The content of an OCI image or artifact, read-only."""

    image: str
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT


type VolumeSource = Files | EmptyDir | HostPath | ImageVolume


class VolumePlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One volume. Without a source it cannot be made, and `missing` says why, as a kubelet would.

    A pod with such a volume waits; the plan that has the source starts it.
    """

    name: str
    source: VolumeSource | None = None
    missing: str = ""


class Mount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a container sees a volume, or a part of it (`sub_path`)."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False
