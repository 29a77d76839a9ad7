"""Images of every form, put into a real registry piece by piece."""

import hashlib
import io
import json
import tarfile
from typing import Any

import httpx

from controlplane.registry import Registry

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


class Shelf:
    """Puts into the registry what `wasmlet push` would not make."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.name = f"{registry.host}/{name}"
        self._base = f"{registry.url}/v2/{name}"

    def blob(self, content: bytes, media_type: str) -> dict[str, Any]:
        begun = httpx.post(f"{self._base}/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["Location"])
        described = descriptor(content, media_type)
        place = place.copy_merge_params({"digest": described["digest"]})
        httpx.put(place, content=content).raise_for_status()
        return described

    def manifest(self, document: dict[str, Any], media_type: str, tag: str) -> dict[str, Any]:
        content = json.dumps(document).encode()
        headers = {"Content-Type": media_type}
        url = f"{self._base}/manifests/{tag}"
        httpx.put(url, content=content, headers=headers).raise_for_status()
        return descriptor(content, media_type)

    def image(self, layer: bytes) -> dict[str, Any]:
        """One of Docker's form, called `image`, whose command is a module in its only layer."""
        settings = {"Entrypoint": ["app.wasm", "-v"], "WorkingDir": "/srv", "Env": ["TOKEN=secret"]}
        config = json.dumps({"os": "wasi", "architecture": "wasm", "config": settings}).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER,
            "config": self.blob(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self.blob(layer, "application/x.layer")],
        }
        return self.manifest(document, DOCKER, "image")


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def tar(path: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        head = tarfile.TarInfo(path)
        head.size = len(content)
        archive.addfile(head, io.BytesIO(content))
    return made.getvalue()
