"""Manifests and indexes: what a registry says an image is made of.

Nothing of it is believed before it is looked at: digests have a form that can be verified, sizes
are none below zero, lists have an end. Whatever a registry answers that cannot be run is named in
the error, so that a user sees what he has pushed.
"""

import hashlib
from typing import Final

import msgspec

from wasm_executor.images.reference import InvalidDigestError, check_digest

WASM_LAYERS: Final = (
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
)
"""Of the CNCF's artifact; of Krustlet and Spin; of the old wasmCloud; of runwasi."""
FILE_LAYERS: Final = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
)
"""Of ordinary images. How one is packed is seen in its first bytes: labels are often wrong."""
IMAGE_CONFIGS: Final = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
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
MOST_LAYERS: Final = 128
"""Docker's own limit, and one more."""


class ManifestError(Exception):
    """The manifest names nothing that can be run; the text says why."""


class Platform(msgspec.Struct, frozen=True):
    """For whom an entry of an index is."""

    os: str = ""
    architecture: str = ""

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob as a manifest names it."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True):
    """One image, or one artifact."""

    layers: tuple[Descriptor, ...]
    config: Descriptor | None = None


class Index(msgspec.Struct, frozen=True):
    """Several images under one name, one for each platform."""

    entries: tuple[Descriptor, ...]


class Parts(msgspec.Struct, frozen=True):
    """What the layers of a manifest are: a module, files, or both."""

    module: Descriptor | None
    files: tuple[Descriptor, ...]


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of a manifest or an index that decide."""

    media_type: str = ""
    schema_version: int = 0
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def parse_manifest(content: bytes, content_type: str) -> Manifest | Index:
    """Return what the document is, or raise `ManifestError`."""
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"failed to unmarshal manifest: {error}") from error
    media_type = document.media_type or content_type.split(";", 1)[0].strip()
    if document.manifests is not None or (media_type in INDEXES and document.layers is None):
        return Index(tuple(_checked(each, "manifest") for each in document.manifests or ()))
    if document.layers is None:
        raise _unsupported(media_type or f"manifest of schema version {document.schema_version}")
    if len(document.layers) > MOST_LAYERS:
        count = len(document.layers)
        raise ManifestError(f"the manifest has {count} layers, the limit is {MOST_LAYERS}")
    config = None if document.config is None else _checked(document.config, "config")
    return Manifest(tuple(_checked(each, "layer") for each in document.layers), config)


def parts_of(manifest: Manifest) -> Parts:
    """Sort the layers of what is to be run; raise `ManifestError`."""
    if not manifest.layers:
        raise ManifestError("the manifest has no layers")
    for layer in manifest.layers:
        if layer.media_type not in WASM_LAYERS + FILE_LAYERS:
            raise _unsupported(layer.media_type)
    modules = [each for each in manifest.layers if each.media_type in WASM_LAYERS]
    if len(modules) > 1:
        raise ManifestError(f"the manifest has {len(modules)} WebAssembly layers, want one")
    files = tuple(each for each in manifest.layers if each.media_type in FILE_LAYERS)
    return Parts(modules[0] if modules else None, files)


def _checked(descriptor: Descriptor, what: str) -> Descriptor:
    try:
        check_digest(descriptor.digest)
    except InvalidDigestError as error:
        raise ManifestError(f"{what} digest {descriptor.digest!r}: {error}") from error
    if descriptor.size < 0:
        raise ManifestError(f"{what} {descriptor.digest}: invalid size {descriptor.size}")
    return descriptor


def _unsupported(media_type: str) -> ManifestError:
    wanted = " or ".join(WASM_LAYERS)
    return ManifestError(
        f'unsupported media type "{media_type}": want an artifact with one layer of {wanted}, '
        "or an image whose files hold the module"
    )
