"""What others ask of the reconciler: plans by digest, and a node's pods as the API wrote them."""

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.pod import PodsList, PodsListed
from pod_reconciler.desk import NodeDesk

PAGE_BYTES: Final = 256 * 1024
_NOT_FOUND: Final = 404
_CHANGED: Final = 409

type FindDesk = Callable[[NodeName], NodeDesk | None]


class Library:
    """Answers `PodsList` and `BlobRead`, each about the asking node alone."""

    def __init__(self, find_desk: FindDesk) -> None:
        self._find_desk = find_desk

    async def list_pods(self, node: NodeName, command: PodsList) -> PodsListed:
        """A page of the node's pods, in the order of their UIDs."""
        desk = self._find_desk(node)
        if desk is None:
            raise CommandError(_NOT_FOUND, f"node {node} is not known")
        page: list[msgspec.Raw] = []
        left = PAGE_BYTES
        last = ""
        for record in sorted(desk.pods(), key=lambda each: each.uid):
            if record.uid <= command.after:
                continue
            pod = desk.shown(record)
            if page and len(pod) > left:
                return PodsListed(pods=tuple(page), after=last)
            if len(pod) > PAGE_BYTES:
                return _part(record.uid, pod, command)
            page.append(msgspec.Raw(pod))
            left -= len(pod)
            last = record.uid
        return PodsListed(pods=tuple(page))

    async def read_blob(self, node: NodeName, command: BlobRead) -> BlobChunk:
        """A part of a plan or of a volume's file, to the node whose pod it belongs to."""
        desk = self._find_desk(node)
        blob = None if desk is None else desk.blob(command.digest)
        if blob is None:
            raise CommandError(_NOT_FOUND, f"no blob {command.digest}")
        end = command.offset + min(max(command.max_bytes, 0), PAGE_BYTES)
        return BlobChunk(data=blob[command.offset : end], total_bytes=len(blob))


def _part(uid: PodUid, pod: bytes, asked: PodsList) -> PodsListed:
    """A part of a pod that fills more than a page; parts of two versions are never mixed."""
    version = hashlib.sha256(pod).hexdigest()
    if asked.offset and asked.version != version:
        raise CommandError(_CHANGED, "the pod has changed between two of its parts")
    end = asked.offset + PAGE_BYTES
    part = pod[asked.offset : end]
    if end >= len(pod):
        return PodsListed(part=part, after=uid)
    return PodsListed(part=part, offset=end, after=asked.after, version=version)
