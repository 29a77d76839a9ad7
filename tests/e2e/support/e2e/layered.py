"""Puts ordinary images into a registry, as builders make them: layers of files and a config."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from e2e.images import Images, digest_of

type Files = Mapping[str, bytes | str]
"""Each with its content; a link's target is text."""


class Form(NamedTuple):
    """How a kind of builder names its parts."""

    manifest: str
    config: str
    layer: str


OCI = Form(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
DOCKER = Form(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


def push_image(
    images: Images, repository: str, layers: Sequence[Files], form: Form = OCI, **settings: Any
) -> str:
    """Push an image; `settings` are those of its config. Return its name."""
    tars = [_tar(each) for each in layers]
    config = {
        "os": "wasi",
        "architecture": "wasm",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in tars]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": form.manifest,
        "config": images.put_blob(repository, json.dumps(config).encode(), form.config),
        "layers": [
            images.put_blob(repository, gzip.compress(each, mtime=0), form.layer) for each in tars
        ],
    }
    images.put_manifest(repository, "v1", json.dumps(manifest).encode(), form.manifest)
    return f"{images.registry.host}/{repository}:v1"


def _tar(files: Files) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, content in files.items():
            head = tarfile.TarInfo(path)
            if isinstance(content, str):
                head.type, head.linkname = tarfile.SYMTYPE, content
                archive.addfile(head)
            else:
                head.size = len(content)
                archive.addfile(head, io.BytesIO(content))
    return made.getvalue()
