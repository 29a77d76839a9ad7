"""What is written down about images, and what a container needs to know of one.

The manifest digest identifies an image. A config digest would not do: artifacts with equal
configs share it, and a node would run the wrong module.
"""

from enum import StrEnum
from pathlib import Path

import msgspec


class ArtifactKind(StrEnum):
    """The binary format, told by the version field of the header."""

    MODULE = "module"
    COMPONENT = "component"


class World(StrEnum):
    """What the artifact exports for its host to call."""

    COMMAND = "command"
    """`_start`, or `wasi:cli/run`."""
    HTTP = "http"
    """`wasi:http/incoming-handler`."""
    NONE = "none"


class ArtifactFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the compile job saw. `problems` are why an instance could not start, in words."""

    kind: ArtifactKind
    world: World
    wasi: str | None = None
    """`0.1`, `0.2`, or nothing where no WASI is imported."""
    problems: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    wasm_bytes: int
    object_bytes: int
    compile_s: float


class CompiledObject(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata file beside a compiled object; it is written last and makes it valid."""

    digest: str
    engine: str
    facts: ArtifactFacts


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One image, named by the digest of its manifest."""

    manifest_digest: str
    layer_digest: str
    layer_bytes: int
    media_type: str


class NameRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a full name pointed to when it was last resolved."""

    name: str
    manifest_digest: str
    resolved_at: float


class PreparedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is ready to run.

    `image_id` is `registry/repository@manifest-digest`, or `file:/path@content-digest`.
    """

    image: str
    image_id: str
    manifest_digest: str
    layer_digest: str
    aot_path: Path
    facts: ArtifactFacts
    size_bytes: int
    pulled: bool = False
    pull_duration_s: float = 0.0
