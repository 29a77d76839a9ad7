"""The config of an ordinary image: what runs in it where a pod does not say otherwise."""

from collections.abc import Sequence

import msgspec

from wasm_executor.images.layers.manifest import MANIFEST_LIMIT_BYTES, ManifestError
from wasm_executor.images.records import ImageConfig

CONFIG_LIMIT_BYTES = MANIFEST_LIMIT_BYTES


class _Settings(msgspec.Struct, frozen=True, rename="pascal"):
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: list[str] | None = None
    working_dir: str = ""


class _Rootfs(msgspec.Struct, frozen=True):
    diff_ids: list[str] | None = None


class _Document(msgspec.Struct, frozen=True):
    config: _Settings | None = None
    rootfs: _Rootfs | None = None


class ParsedConfig(msgspec.Struct, frozen=True):
    """`diff_ids` name the layers' content as it is unpacked, in their order."""

    config: ImageConfig
    diff_ids: tuple[str, ...]


def parse_config(content: bytes) -> ParsedConfig:
    """Return what the config says, or raise `ManifestError`."""
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"failed to unmarshal image config: {error}") from error
    settings = document.config or _Settings()
    config = ImageConfig(
        entrypoint=tuple(settings.entrypoint or ()),
        cmd=tuple(settings.cmd or ()),
        env=_variables(settings.env or ()),
        working_dir=settings.working_dir,
    )
    ids = document.rootfs.diff_ids if document.rootfs else None
    return ParsedConfig(config, tuple(ids or ()))


def _variables(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What has no name, or holds a NUL, could not be told to a guest."""
    pairs = (each.partition("=") for each in given if "\0" not in each)
    return tuple((name, value) for name, _, value in pairs if name)
