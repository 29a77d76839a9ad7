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
    host_types: str = ""
    """Names the host's types that its imports were found to have; empty where nobody has looked, or
    where they differ. Whoever runs it believes no name but that of its own types."""
    wasm_bytes: int
    object_bytes: int
    compile_s: float


class CompiledObject(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata file beside a compiled object; it is written last and makes it valid."""

    digest: str
    engine: str
    facts: ArtifactFacts


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image says of its program; a pod's own word goes before it."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str = ""

    def __repr__(self) -> str:
        return "ImageConfig(...)"  # people put secrets into variables of images, too


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image, named by the digest of its manifest, or of the index that was asked for."""

    manifest_digest: str
    layer_digest: str = ""
    """The module; empty where it is one of the files."""
    layer_bytes: int = 0
    media_type: str = ""
    rootfs: str = ""
    """The name of the folder that holds the files; empty where there are none."""
    total_bytes: int = 0
    """Of all layers, as they were pulled."""
    config: ImageConfig = ImageConfig()
    mount: bool = False
    """It was made to be a volume, not to be run."""

    @property
    def size_bytes(self) -> int:
        return self.total_bytes or self.layer_bytes


class NameRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where a full name pointed to when it was last resolved."""

    name: str
    manifest_digest: str
    resolved_at: float


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod says instead of the image, as far as it decides which file of it is the module."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""

    def __repr__(self) -> str:
        return "Overrides(...)"  # arguments hold secrets


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
    wasm_path: Path = Path()
    """The module as it was pulled, for who asked for it uncompiled."""
    compiled: bool = True
    """Whether our own engine can run it."""
    config: ImageConfig = ImageConfig()
    rootfs: str = ""
    """The folder that the guest sees as `/`; empty where the image has no files."""
    mounted: tuple[str, ...] = ()
    """IDs of the images that it is to see as volumes, where it was had for a container."""
    pulled: bool = False
    pull_duration_s: float = 0.0


class MountedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose files are there to be looked at."""

    image_id: str
    manifest_digest: str
    folder: Path
