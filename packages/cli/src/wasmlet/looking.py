"""What a reference leads to, told in lines: indexes, manifests, configs, and at last the module.

Nothing is unpacked and nothing kept. The module of an ordinary image is looked for by its path in
the layers, the last one first; a symbolic link on the way there is not followed.
"""

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from backports import zstd

from wasmlet.errors import CommandLineError
from wasmlet.uploading import PushRegistry

_WASM_LAYERS: Final = (
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
)
_PLATFORMS: Final = ("wasi/wasm", "wasip1/wasm", "wasip2/wasm", "linux/wasm32")
"""In the order in which a node prefers them."""
_USUAL: Final = {
    ("wasi", "wasm32"): "wasi/wasm",
    ("wasm", "wasip1"): "wasip1/wasm",
    ("wasm", "wasip2"): "wasip2/wasm",
}
_MOST_DEEP: Final = 4
_MOST_BYTES: Final = 256 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BROKEN: Final = (tarfile.TarError, EOFError, OSError, zlib.error, zstd.ZstdError)
"""What a layer that is not whole, or not what it begins as, raises while it is read."""


class Found(NamedTuple):
    """`lines` tell what there is; the module's content is None where it was not found."""

    lines: tuple[tuple[str, str], ...]
    name: str = ""
    module: bytes | None = None


def look(registry: PushRegistry, digest: str | None) -> Found:
    """Follow a reference to its module; raise `CommandLineError`."""
    try:
        return _follow(registry, digest)
    except (KeyError, TypeError, AttributeError) as error:
        raise CommandLineError(f"what the registry holds is malformed: {error!r}") from error


def _follow(registry: PushRegistry, digest: str | None) -> Found:
    lines: list[tuple[str, str]] = []
    document = _decoded(registry.manifest(digest))
    for _ in range(_MOST_DEEP):
        if "manifests" not in document:
            break
        there = {_platform(each): each for each in document["manifests"]}
        lines.append(("index", ", ".join(there) or "empty"))
        chosen = next((there[each] for each in _PLATFORMS if each in there), None)
        if chosen is None:
            lines.append(("remark", "no platform of it is for WebAssembly: no node takes it"))
            return Found(tuple(lines))
        document = _decoded(registry.manifest(chosen["digest"]))
    layers = document.get("layers") or []
    modules = [each for each in layers if each["mediaType"] in _WASM_LAYERS]
    if modules:
        lines.append(("form", f"artifact, layer {modules[0]['mediaType']}"))
        if len(layers) > 1:
            lines.append(("layers", ", ".join(each["mediaType"] for each in layers)))
        return Found(tuple(lines), "the layer", registry.blob(modules[0]["digest"]))
    return _in_files(registry, document, layers, lines)


def _in_files(
    registry: PushRegistry,
    document: dict[str, Any],
    layers: Sequence[dict[str, Any]],
    lines: list[tuple[str, str]],
) -> Found:
    config = _decoded(registry.blob(document["config"]["digest"])) if "config" in document else {}
    settings = config.get("config") or {}
    argv = (settings.get("Entrypoint") or []) + (settings.get("Cmd") or [])
    lines.append(("form", f"image of {len(layers)} layers of files"))
    lines.append(("platform", f"{config.get('os', '?')}/{config.get('architecture', '?')}"))
    lines.append(("command", " ".join(argv) or "none: the container has to name the module"))
    for key, title in (("Env", "variables"), ("WorkingDir", "directory")):
        if settings.get(key):
            value = settings[key]
            names = [each.partition("=")[0] for each in value] if key == "Env" else [value]
            lines.append((title, ", ".join(names)))
    if not argv:
        return Found(tuple(lines))
    wanted = posixpath.normpath(posixpath.join("/", settings.get("WorkingDir") or "", argv[0]))
    for layer in reversed(layers):
        content = _file_in(registry.blob(layer["digest"]), wanted)
        if content is not None:
            return Found(tuple(lines), wanted, content)
    lines.append(("remark", f"{wanted} is in none of its layers"))
    return Found(tuple(lines))


def _file_in(layer: bytes, path: str) -> bytes | None:
    try:
        with tarfile.open(fileobj=_unpacked(layer), mode="r|") as archive:
            for entry in archive:
                if _absolute(entry.name) == path and entry.isreg():
                    file = archive.extractfile(entry)
                    return None if file is None else file.read(_MOST_BYTES)
    except _BROKEN as error:
        raise CommandLineError(f"a layer cannot be unpacked: {error}") from error
    return None


def _absolute(name: str) -> str:
    return posixpath.normpath(f"/{name}").replace("//", "/")


def _unpacked(layer: bytes) -> Any:
    if layer.startswith(_ZSTD):
        return zstd.ZstdFile(io.BytesIO(layer), "rb")
    packed = io.BytesIO(layer)
    return gzip.GzipFile(fileobj=packed, mode="rb") if layer.startswith(_GZIP) else packed


def _platform(entry: dict[str, Any]) -> str:
    platform = entry.get("platform") or {}
    named = (platform.get("os", "?"), platform.get("architecture", "?"))
    # What other builders write for the same.
    return _USUAL.get(named, "/".join(named))


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise CommandLineError(f"the registry's answer is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CommandLineError("the registry's answer is no manifest")
    return document
