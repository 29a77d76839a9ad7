"""A WebAssembly file as an OCI artifact: one layer, one config, one manifest.

The form is the CNCF's, with what the file is, wants and gives in its config; or the older one of
Krustlet's time.

Equal files give equal artifacts: the time of creation is the file's own, so that pushing again
changes nothing in the registry.
"""

import hashlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from wasmlet.errors import CommandLineError, UsageError
from wasmlet.wasmnames import names_of_component

TITLE: Final = "org.opencontainers.image.title"

_MAGIC: Final = b"\0asm"
_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TARGET: Final = re.compile(
    r"(?P<registry>[^/@]+)/"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")


class Kind(StrEnum):
    """What the file is; the value is what the config calls its operating system."""

    MODULE = "wasip1"
    COMPONENT = "wasip2"


_KINDS: Final = {b"\x01\x00\x00\x00": Kind.MODULE, b"\x0d\x00\x01\x00": Kind.COMPONENT}


class Format(StrEnum):
    """Which media types a push writes."""

    CNCF = "cncf"
    KRUSTLET = "krustlet"


_TYPES: Final = {
    Format.CNCF: ("application/vnd.wasm.config.v0+json", "application/wasm"),
    Format.KRUSTLET: (
        "application/vnd.wasm.config.v1+json",
        "application/vnd.wasm.content.layer.v1+wasm",
    ),
}
"""Of the config, and of the layer."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to push: a registry has to be named, Docker Hub too."""

    registry: str
    repository: str
    tag: str

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Content and what a manifest says about it."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def descriptor(self) -> dict[str, object]:
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What a push uploads."""

    kind: Kind
    layer: Blob
    config: Blob
    title: str


def parse_target(text: str) -> Target:
    match = _TARGET.fullmatch(text)
    if match is None or not _is_registry(match["registry"]):
        raise UsageError(f"{text!r} is not a reference, want HOST[:PORT]/NAME[:TAG] in lower case")
    return Target(
        registry=match["registry"],
        repository=match["repository"],
        tag=match["tag"] or "latest",
    )


def _is_registry(text: str) -> bool:
    """As for image names: `localhost`, or something with a dot or a port."""
    named = text == "localhost" or "." in text or ":" in text
    return named and _HOST.fullmatch(text) is not None


def read_artifact(path: Path, form: Format = Format.CNCF) -> Artifact:
    """Read the file, say what it is, and make the blobs around it."""
    content, created = read_file(path)
    kind = kind_of(str(path), content)
    config_type, layer_type = _TYPES[form]
    layer = Blob(media_type=layer_type, content=content)
    config: dict[str, object] = {}
    if form is Format.CNCF:
        config = {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "architecture": "wasm",
            "os": kind.value,
            "layerDigests": [layer.digest],
        }
    if form is Format.CNCF and kind is Kind.COMPONENT:
        names = names_of_component(content)
        config["component"] = {"exports": names.exports, "imports": names.imports}
    return Artifact(
        kind=kind,
        layer=layer,
        config=Blob(media_type=config_type, content=msgspec.json.encode(config)),
        title=path.name,
    )


def read_file(path: Path) -> tuple[bytes, datetime]:
    """Return a file's content and when it was written."""
    try:
        return path.read_bytes(), datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC)
    except OSError as error:
        raise CommandLineError(f"cannot read {path}: {error.strerror}") from error


def kind_of(path: str, content: bytes) -> Kind:
    """Say what the content is; `path` is its name in what is said where it is neither."""
    if not content:
        raise CommandLineError(f"{path} is empty")
    if not content.startswith(_MAGIC):
        raise CommandLineError(f"{path} is not WebAssembly: it does not begin with \\0asm")
    kind = _KINDS.get(content[4:8])
    if kind is None:
        raise CommandLineError(f"{path} is neither a WebAssembly module nor a component")
    return kind
