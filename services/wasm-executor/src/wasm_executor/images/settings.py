"""What an operator may set about images."""

from pathlib import Path

import msgspec

from wasm_executor.images.jobs import CompileLimits, PullLimits
from wasm_executor.settings import VerificationPolicy


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`root` holds the content store; it belongs to one executor."""

    root: Path
    insecure_registries: tuple[str, ...] = ()
    """`host:port` of registries that are reached over plain HTTP; all others need TLS."""
    ca_file: Path | None = None
    """Certificates that are trusted beside the public ones."""
    config_dir: Path | None = None
    """Mirrors and certificates by registry; see `registryhosts`."""
    token_hosts: tuple[str, ...] = ()
    """`host:port` of whom registries may have their tokens besides of themselves."""
    verification: VerificationPolicy = VerificationPolicy.NEVER_VERIFY_PRELOADED
    unverified_images: tuple[str, ...] = ()
    """With `NeverVerifyAllowlistedImages`: repositories, or folders of them ending in `/*`."""
    local_folders: tuple[Path, ...] = ()
    """Where the files of `file:` images may lie; none means that there are no such images."""
    pulls_per_registry: int = 5
    compile_jobs: int = 2
    slow_compile_s: float = 5.0
    """Who waits longer for a compilation is told by an Event."""
    broken_for_s: float = 300.0
    """How long the verdict on an artifact that cannot be compiled is repeated, not renewed."""
    gc_high_percent: int = 85
    """Of the disk: from where on images that nobody uses are removed, until `gc_low_percent`."""
    gc_low_percent: int = 80
    gc_min_age_s: float = 120.0
    pull_limits: PullLimits = PullLimits()
    compile_limits: CompileLimits = CompileLimits()
