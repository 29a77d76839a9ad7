"""Puts modules into a registry by the registry's own HTTP API, byte for byte as told."""

import hashlib
import json
import ssl
from typing import Self

import httpx

from controlplane import Registry

CONFIG_TYPE = "application/vnd.wasm.config.v0+json"
LAYER_TYPE = "application/wasm"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ANSWER_WITHIN_S = 10.0


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Images:
    """Pushes to one registry and says which image name a pod has to use."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._pushed: dict[str, str] = {}
        context = ssl.create_default_context(cafile=str(registry.authority or "") or None)
        self._client = httpx.Client(
            base_url=registry.url,
            auth=registry.login,
            verify=context,
            timeout=ANSWER_WITHIN_S,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def push(
        self, content: bytes, repository: str, tag: str = "v1", *, layer_type: str = LAYER_TYPE
    ) -> str:
        """Pushes one module as an artifact of one layer; returns its image name.

        A name means one module for as long as the registry lives: a Node that has run another
        under it would not pull this one.
        """
        name = f"{self.registry.host}/{repository}:{tag}"
        digest = digest_of(content)
        assert self._pushed.setdefault(name, digest) == digest, f"{name} is another test's module"
        config = json.dumps(
            {"architecture": "wasm", "os": "wasip1", "layerDigests": [digest]}
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.put_blob(repository, config, CONFIG_TYPE),
            "layers": [self.put_blob(repository, content, layer_type)],
        }
        self.put_manifest(repository, tag, json.dumps(manifest).encode())
        return name

    def put_manifest(
        self, repository: str, tag: str, manifest: bytes, media_type: str = MANIFEST_TYPE
    ) -> str:
        """Puts a manifest as it is; returns its digest."""
        self._client.put(
            f"/v2/{repository}/manifests/{tag}",
            content=manifest,
            headers={"Content-Type": media_type},
        ).raise_for_status()
        return digest_of(manifest)

    def manifest_digest(self, repository: str, tag: str = "v1") -> str:
        """What the registry itself says the tag means."""
        answer = self._client.head(
            f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE}
        )
        return str(answer.raise_for_status().headers["Docker-Content-Digest"])

    def manifest(self, repository: str, tag: str = "v1") -> bytes:
        """The manifest's bytes."""
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._client.get(path, headers={"Accept": MANIFEST_TYPE})
        return answer.raise_for_status().content

    def pull(self, repository: str, tag: str = "v1") -> bytes:
        """The first layer's content."""
        layer = json.loads(self.manifest(repository, tag))["layers"][0]["digest"]
        return self._client.get(f"/v2/{repository}/blobs/{layer}").raise_for_status().content

    def tamper(self, content: bytes, changed: bytes) -> None:
        """Changes what the registry has on its disk for a blob: it serves that unchecked."""
        name = digest_of(content).removeprefix("sha256:")
        storage = self.registry.data_dir / "storage" / "docker" / "registry" / "v2" / "blobs"
        blob = storage / "sha256" / name[:2] / name / "data"
        assert blob.read_bytes() == content
        blob.write_bytes(changed)

    def put_blob(self, repository: str, content: bytes, media_type: str) -> dict[str, object]:
        """Puts a blob; returns what a manifest says of it."""
        digest = digest_of(content)
        upload = self._client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
        place = httpx.URL(upload.headers["Location"]).copy_merge_params({"digest": digest})
        self._client.put(place, content=content).raise_for_status()
        return {"mediaType": media_type, "digest": digest, "size": len(content)}
