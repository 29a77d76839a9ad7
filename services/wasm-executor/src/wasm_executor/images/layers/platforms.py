"""Which image of an index is for a guest, and which for a volume."""

import platform
from collections.abc import Sequence
from typing import Final

from wasm_executor.images.layers.manifest import INDEXES, Descriptor, Index, ManifestError, Platform

WASM_PLATFORMS: Final = (
    Platform("wasi", "wasm"),
    Platform("wasip1", "wasm"),
    Platform("wasip2", "wasm"),
    Platform("linux", "wasm32"),
)
"""In the order in which they are preferred."""
MOST_DEEP: Final = 4
"""Indexes in one another; nobody makes more than two."""
_NO_IMAGE: Final = Platform("unknown", "unknown")
"""What builders put beside their images: attestations."""
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def chosen(index: Index, *, mount: bool) -> Descriptor:
    """Return the entry to follow, or raise `ManifestError` that says which platforms there are.

    Files of a volume may be this machine's own, where there are none for WebAssembly.
    """
    wanted = (*WASM_PLATFORMS, _own_platform()) if mount else WASM_PLATFORMS
    for each in wanted:
        for entry in index.entries:
            if entry.platform is not None and _usual(entry.platform) == each:
                return entry
    unnamed = [each for each in index.entries if each.platform is None]
    if len(unnamed) == 1 or (unnamed and unnamed[0].media_type in INDEXES):
        return unnamed[0]
    raise ManifestError(_no_match(index.entries, wanted))


def _usual(platform: Platform) -> Platform:
    """Read what other builders write for the same: `wasm/wasip1`, and `wasi/wasm32`."""
    if platform.os == "wasm":
        return Platform(platform.architecture, platform.os)
    if platform == Platform("wasi", "wasm32"):
        return WASM_PLATFORMS[0]
    return platform


def _own_platform() -> Platform:
    machine = platform.machine()
    return Platform("linux", _MACHINES.get(machine, machine))


def _no_match(entries: Sequence[Descriptor], wanted: Sequence[Platform]) -> str:
    named = (each.platform for each in entries)
    there = sorted({str(each) for each in named if each not in (None, _NO_IMAGE)})
    want = " or ".join(str(each) for each in wanted)
    has = f"has only {', '.join(there)[:500]}" if there else "names no platform"
    return f"no match for platform in manifest: the index {has}, want {want}"
