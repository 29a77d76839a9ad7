"""Layers of images: real tar archives, as a test writes them, good ones and others."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any, NamedTuple

from backports import zstd

OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Entry(NamedTuple):
    """One entry of an archive; `data` is a link's target, too."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644


def folder(name: str, mode: int = 0o755) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, target.encode(), tarfile.SYMTYPE)


def hard_link(name: str, target: str) -> Entry:
    return Entry(name, target.encode(), tarfile.LNKTYPE)


def layer(*entries: Entry) -> bytes:
    """Archive the entries, in their order."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for each in entries:
            head = tarfile.TarInfo(each.name)
            head.type, head.mode, head.mtime = each.kind, each.mode, 1_700_000_000
            if each.kind == tarfile.REGTYPE:
                head.size = len(each.data)
            else:
                head.linkname = each.data.decode()
            archive.addfile(head, io.BytesIO(each.data))
    return made.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zstandard(content: bytes) -> bytes:
    return zstd.compress(content)


class Image(NamedTuple):
    """All that a registry holds of one image."""

    manifest: bytes
    blobs: dict[str, bytes]
    media_type: str

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def image(*tars: bytes, packed: Any = gzipped, docker: bool = False, **settings: Any) -> Image:
    """Make an image of these layers; `settings` are those of its config, in its spelling."""
    packs = [packed(each) for each in tars]
    config = json.dumps(
        {
            "os": "wasi",
            "architecture": "wasm",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in tars]},
        }
    ).encode()
    layer_type = DOCKER_LAYER if docker else f"{OCI_LAYER}+gzip"
    media_type = DOCKER if docker else OCI
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": described(config, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [described(each, layer_type) for each in packs],
    }
    blobs = {digest(each): each for each in (config, *packs)}
    return Image(json.dumps(manifest).encode(), blobs, media_type)


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def index(**images: Image) -> bytes:
    """Make an index; each name is a platform, with `_` for the slash."""
    entries = []
    for name, each in images.items():
        os_name, _, architecture = name.partition("_")
        platform = {"os": os_name, "architecture": architecture}
        entries.append(described(each.manifest, each.media_type, platform=platform))
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
