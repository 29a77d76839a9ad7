"""`python -m wasm_executor`: the keeper, first process of the executor.

It reads the few settings that it needs itself and passes the whole environment on to the
supervisor, which reads the rest; zygote and containers get none of it.
"""

import os
import resource
import sys
from pathlib import Path

import msgspec

from servicekit.errors import SettingsError
from servicekit.settings import read_settings
from wasm_executor.keeper.app import Keeper
from wasm_executor.keeper.errors import KeeperError
from wasm_executor.keeper.identity import lock_data_directory, next_identity
from wasm_executor.keeper.linux import become_subreaper, name_process

SUPERVISOR = (sys.executable, "-m", "wasm_executor.supervisor")


class KeeperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's settings have these too, by the same names."""

    data_dir: Path
    """Survives reboots: the executor's id, its images."""
    run_dir: Path
    """On tmpfs: records of what runs."""
    keeper_pipe_bytes: int | None = None
    """Size of each output pipe; the kernel's default is 64 KiB, or 8 KiB above a user's limit."""


def main() -> int:
    """Run the keeper; its arguments, if any, are the supervisor's command instead of ours."""
    environ = dict(os.environ)  # noqa: TID251 - passed on whole; the settings come from it below
    wanted = {f"WASMLET_{field.upper()}" for field in KeeperSettings.__struct_fields__}
    try:
        settings = read_settings(
            KeeperSettings, {name: environ[name] for name in wanted & environ.keys()}
        )
        lock = lock_data_directory(settings.data_dir)
    except (SettingsError, KeeperError) as error:
        sys.stderr.write(f"wasm-executor: {error}\n")
        return 1
    become_subreaper()
    name_process("wasmlet-keeper")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    command = tuple(sys.argv[1:]) or SUPERVISOR
    identity = next_identity(settings.data_dir)
    Keeper(identity, settings.run_dir, command, environ, settings.keeper_pipe_bytes).run()
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
