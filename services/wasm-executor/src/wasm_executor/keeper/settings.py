"""What the keeper is told; it takes what begins with WASMLET_KEEPER_ for itself alone."""

from pathlib import Path

import msgspec

from servicekit.settings import Seconds
from wasm_executor.settings import PrivilegeProfile


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The directories are the supervisor's settings too, by the same names."""

    data_dir: Path
    """Survives reboots: the executor's id, its images."""
    run_dir: Path
    """On tmpfs: records of what runs."""
    keeper_pipe_bytes: int | None = None
    """Size of each output pipe; the kernel's default is 64 KiB, or 8 KiB above a user's limit."""
    keeper_restart_max_s: Seconds = 5.0
    """Longest pause before zygote or supervisor is started again."""
    privilege_profile: PrivilegeProfile = PrivilegeProfile.UNPRIVILEGED
    log_level: str = "info"
    log_format: str = "auto"
