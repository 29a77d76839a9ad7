"""Manifests: which one layer holds the module.

Two kinds of artifact are run: the CNCF Wasm OCI artifact (layer `application/wasm`) and the older
one of Krustlet and its contemporaries. Whatever else a registry answers is named in the error, so
that a user sees what he has pushed.
"""

import hashlib
from typing import Final

import msgspec

from wasm_executor.images.reference import InvalidDigestError, check_digest

WASM_LAYERS: Final = (
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT: Final = ", ".join((*MANIFESTS, *INDEXES, "*/*;q=0.1"))
MANIFEST_LIMIT_BYTES: Final = 4 << 20
"""The distribution specification's own limit."""


class ManifestError(Exception):
    """The manifest names nothing that can be run; the text says why."""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob as a manifest names it."""

    media_type: str
    digest: str
    size: int


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a manifest or an index that decide; of a layer only what is needed."""

    media_type: str = ""
    schema_version: int = 0
    layers: list[Descriptor] | None = None
    manifests: list[msgspec.Raw] | None = None


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def parse_manifest(content: bytes, content_type: str) -> Descriptor:
    """Return the layer that holds the module, or raise `ManifestError`."""
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"failed to unmarshal manifest: {error}") from error
    media_type = document.media_type or content_type.split(";", 1)[0].strip()
    if media_type in INDEXES or document.manifests is not None:
        raise _unsupported(media_type or INDEXES[0])
    if document.layers is None:
        raise _unsupported(media_type or f"manifest of schema version {document.schema_version}")
    return _wasm_layer(document.layers)


def _wasm_layer(layers: list[Descriptor]) -> Descriptor:
    if not layers:
        raise ManifestError("the manifest has no layers")
    for layer in layers:
        if layer.media_type not in WASM_LAYERS:
            raise _unsupported(layer.media_type)
    if len(layers) > 1:
        raise ManifestError(f"the manifest has {len(layers)} WebAssembly layers, want one")
    layer = layers[0]
    try:
        check_digest(layer.digest)
    except InvalidDigestError as error:
        raise ManifestError(f"layer digest {layer.digest!r}: {error}") from error
    if layer.size < 0:
        raise ManifestError(f"layer {layer.digest}: invalid size {layer.size}")
    return layer


def _unsupported(media_type: str) -> ManifestError:
    wanted = " or ".join(WASM_LAYERS)
    return ManifestError(
        f'unsupported media type "{media_type}": want an artifact with one layer of {wanted}'
    )
