"""What one image is made of, brought together: from the manifest that a name leads to, through
indexes, to a module, a folder of files, or both.

A folder is named by what it was made of, so that images with the same layers share it, and pods
share it in any case. The packed layers are left to the collector of garbage: another image that is
being pulled may have the same ones.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

import msgspec

from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.layers.imageconfig import CONFIG_LIMIT_BYTES, ParsedConfig, parse_config
from wasm_executor.images.layers.layerstream import Budget, UnpackError
from wasm_executor.images.layers.manifest import (
    FILE_LAYERS,
    IMAGE_CONFIGS,
    Descriptor,
    Index,
    Manifest,
    ManifestError,
    Parts,
    parse_manifest,
    parts_of,
)
from wasm_executor.images.layers.platforms import MOST_DEEP, chosen
from wasm_executor.images.layers.tree import Tree
from wasm_executor.images.layers.unpacking import Layer, unpack
from wasm_executor.images.records import ImageConfig, ImageRecord
from wasm_executor.images.store import ContentStore

TITLE: Final = "org.opencontainers.image.title"
_NO_CONFIG: Final = ParsedConfig(ImageConfig(), ())
_FILE_MODE: Final = 0o644
_CHUNK: Final = 1 << 20


class Registry(Protocol):
    """What is asked for content. Each call raises the pull's own error where there is none."""

    def manifest(self, digest: str) -> tuple[bytes, str]:
        """Return a manifest's verified bytes, and the type that it was sent as."""

    def have_blob(self, blob: Descriptor) -> int:
        """Have a blob in the store; return how many bytes that took."""


class Gathering:
    """One image's. Raise `ManifestError`, `UnpackError` for what is wrong with the image."""

    def __init__(
        self, registry: Registry, store: ContentStore, limits: PullLimits, *, mount: bool
    ) -> None:
        self._registry = registry
        self._store = store
        self._limits = limits
        self._mount = mount
        self.downloaded_bytes = 0

    def gather(self, digest: str, content: bytes, content_type: str) -> ImageRecord:
        """Have all of an image on disk; `digest` is what its name leads to."""
        manifest = self._manifest(content, content_type)
        self._store.write_blob(digest, content)
        if self._mount and not _is_of_files(manifest):
            return self._artifact_to_mount(digest, manifest)
        parts = Parts(None, manifest.layers) if self._mount else parts_of(manifest)
        self._require_small(manifest.layers)
        parsed = self._config(manifest)
        ids = parsed.diff_ids if parts.module is None else ()
        if parts.module is not None:
            self._have(parts.module)
        return ImageRecord(
            manifest_digest=digest,
            layer_digest=parts.module.digest if parts.module else "",
            layer_bytes=parts.module.size if parts.module else 0,
            media_type=(parts.module or manifest.layers[0]).media_type,
            rootfs=self._rootfs(parts.files, ids) if parts.files else "",
            total_bytes=sum(each.size for each in manifest.layers),
            config=parsed.config,
            mount=self._mount,
        )

    def _manifest(self, content: bytes, content_type: str) -> Manifest:
        for _ in range(MOST_DEEP):
            document = parse_manifest(content, content_type)
            if isinstance(document, Manifest):
                return document
            entry = chosen(document, mount=self._mount)
            content, content_type = self._registry.manifest(entry.digest)
        if isinstance(document := parse_manifest(content, content_type), Index):
            raise ManifestError(f"more than {MOST_DEEP} indexes lie in one another")
        return document

    def _require_small(self, blobs: Sequence[Descriptor]) -> None:
        limit = self._limits.max_layer_bytes
        for each in blobs:
            if each.size > limit:
                raise ManifestError(
                    f"layer {each.digest} has {each.size} bytes, the limit is {limit}"
                )

    def _config(self, manifest: Manifest) -> ParsedConfig:
        config = manifest.config
        if config is None or config.media_type not in IMAGE_CONFIGS:
            return _NO_CONFIG
        if config.size > CONFIG_LIMIT_BYTES:
            raise ManifestError(f"the config is larger than {CONFIG_LIMIT_BYTES} bytes")
        self._have(config)
        return parse_config(self._store.blob_path(config.digest).read_bytes())

    def _have(self, blob: Descriptor) -> None:
        if not self._store.has_blob(blob.digest, blob.size):
            self.downloaded_bytes += self._registry.have_blob(blob)

    def _rootfs(self, layers: Sequence[Descriptor], diff_ids: Sequence[str]) -> str:
        if diff_ids and len(diff_ids) != len(layers):
            raise ManifestError("mismatched image rootfs and manifest layers")
        name = _name_of("layers", [each.digest for each in layers])
        if self._store.has_rootfs(name):
            return name
        for each in layers:
            self._have(each)
        ids = diff_ids or [""] * len(layers)
        unpacked = [
            Layer(each.digest, self._store.blob_path(each.digest), diff_id)
            for each, diff_id in zip(layers, ids, strict=True)
        ]
        with self._store.filling(self._store.rootfs_path(name)) as folder:
            unpack(unpacked, folder, Budget(self._limits))
        return name

    def _artifact_to_mount(self, digest: str, manifest: Manifest) -> ImageRecord:
        """Each layer is a file, by the name that it was pushed with."""
        self._require_small(manifest.layers)
        if not manifest.layers:
            raise ManifestError("the manifest has no layers")
        titles = [_title_of(each) for each in manifest.layers]
        digests = [each.digest for each in manifest.layers]
        name = _name_of("files", [*digests, *titles])
        if not self._store.has_rootfs(name):
            for each in manifest.layers:
                self._have(each)
            with self._store.filling(self._store.rootfs_path(name)) as folder:
                tree = Tree(str(folder), Budget(self._limits))
                for title, layer in zip(titles, digests, strict=True):
                    _put_file(tree, title, self._store.blob_path(layer))
        return ImageRecord(
            manifest_digest=digest,
            media_type=manifest.layers[0].media_type,
            rootfs=name,
            total_bytes=sum(each.size for each in manifest.layers),
            mount=True,
        )


def _is_of_files(manifest: Manifest) -> bool:
    return bool(manifest.layers) and all(each.media_type in FILE_LAYERS for each in manifest.layers)


def _name_of(kind: str, parts: Sequence[str]) -> str:
    return hashlib.sha256(msgspec.json.encode([kind, *parts])).hexdigest()


def _title_of(layer: Descriptor) -> str:
    title = (layer.annotations or {}).get(TITLE, "")
    return title or layer.digest.partition(":")[2]


def _put_file(tree: Tree, title: str, content: Path) -> None:
    try:
        with tree.place(str(PurePosixPath(title))) as at:
            if at is None:
                raise UnpackError(f"a layer has the title {title!r}")
            with (
                content.open("rb") as source,
                open(tree.new_file(at, _FILE_MODE), "wb") as file,  # noqa: PTH123 - a descriptor
            ):
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
    except ValueError as error:
        raise UnpackError(f"a layer has the title {title!r}") from error
