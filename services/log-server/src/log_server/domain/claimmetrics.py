"""`kubelet_volume_stats_*`: how full claims are, each told once however many pods mount it."""

from collections.abc import Callable
from typing import Final

from contract.messages.usage import FileSystem, FileUsage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage

type _Value = Callable[[FileSystem, FileUsage], float]

_SERIES: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("capacity_bytes", "Capacity in bytes of the volume", lambda room, _: room.capacity_bytes),
    (
        "available_bytes",
        "Number of available bytes in the volume",
        lambda room, _: room.available_bytes,
    ),
    ("used_bytes", "Number of used bytes in the volume", lambda _, files: files.used_bytes),
    ("inodes", "Maximum number of inodes in the volume", lambda room, _: room.inodes),
    ("inodes_free", "Number of free inodes in the volume", lambda room, _: room.inodes_free),
    ("inodes_used", "Number of used inodes in the volume", lambda _, files: files.files),
)


def claim_metrics(node: NodeUsage) -> list[Family]:
    """Return all families; of a node without claims they have no samples, as in a kubelet."""
    claims = {
        (pod.namespace, volume.claim): (volume.room, volume.files)
        for pod in node.pods
        for volume in pod.volumes
        if volume.claim and volume.room is not None
    }
    return [
        Family(
            f"kubelet_volume_stats_{name}",
            f"[ALPHA] {text}",
            Kind.GAUGE,
            [
                Sample(value(room, files), {"namespace": namespace, "persistentvolumeclaim": claim})
                for (namespace, claim), (room, files) in sorted(claims.items())
            ],
        )
        for name, text, value in _SERIES
    ]
