"""A WebAssembly file as a CNCF Wasm OCI artifact: one layer, one config, one manifest.

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

CONFIG_TYPE: Final = "application/vnd.wasm.config.v0+json"
LAYER_TYPE: Final = "application/wasm"
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
        raise UsageError(
            f"{text!r} is not a reference to push to, want HOST[:PORT]/NAME[:TAG] in lower case"
        )
    return Target(
        registry=match["registry"],
        repository=match["repository"],
        tag=match["tag"] or "latest",
    )


def _is_registry(text: str) -> bool:
    """As for image names: `localhost`, or something with a dot or a port."""
    named = text == "localhost" or "." in text or ":" in text
    return named and _HOST.fullmatch(text) is not None


def read_artifact(path: Path) -> Artifact:
    """Read the file, say what it is, and make the blobs around it."""
    try:
        content = path.read_bytes()
        created = datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC)
    except OSError as error:
        raise CommandLineError(f"cannot read {path}: {error.strerror}") from error
    kind = _kind_of(path, content)
    layer = Blob(media_type=LAYER_TYPE, content=content)
    config = {
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "architecture": "wasm",
        "os": kind.value,
        "layerDigests": [layer.digest],
    }
    return Artifact(
        kind=kind,
        layer=layer,
        config=Blob(media_type=CONFIG_TYPE, content=msgspec.json.encode(config)),
        title=path.name,
    )


def _kind_of(path: Path, content: bytes) -> Kind:
    if not content:
        raise CommandLineError(f"{path} is empty")
    if not content.startswith(_MAGIC):
        raise CommandLineError(f"{path} is not WebAssembly: it does not begin with \\0asm")
    kind = _KINDS.get(content[4:8])
    if kind is None:
        raise CommandLineError(f"{path} is neither a WebAssembly module nor a component")
    return kind
