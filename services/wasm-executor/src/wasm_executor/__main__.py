"""`python -m wasm_executor`: the keeper, first process of the executor.

It takes the few settings that it needs itself and passes the rest of the environment on to the
supervisor; zygote and containers get none of it.
"""

import os
import resource
import sys

from servicekit.errors import SettingsError
from servicekit.settings import read_settings
from wasm_executor.keeper.app import WRONG_SETTING, Keeper
from wasm_executor.keeper.errors import KeeperError, RightsMissingError
from wasm_executor.keeper.events import configure_events
from wasm_executor.keeper.identity import lock_data_directory, next_identity
from wasm_executor.keeper.linux import become_subreaper, name_process
from wasm_executor.keeper.settings import KeeperSettings
from wasm_executor.settings import PrivilegeProfile

SUPERVISOR = (sys.executable, "-m", "wasm_executor.supervisor")
KEEPERS_OWN = "WASMLET_KEEPER_"


def main() -> int:
    """Run the keeper; its arguments, if any, are the supervisor's command instead of ours."""
    environ = dict(os.environ)  # noqa: TID251 - passed on; read_settings gets what is ours
    wanted = {f"WASMLET_{field.upper()}" for field in KeeperSettings.__struct_fields__}
    ours = {
        name: environ[name] for name in environ if name in wanted or name.startswith(KEEPERS_OWN)
    }
    passed_on = {name: environ[name] for name in environ if not name.startswith(KEEPERS_OWN)}
    try:
        settings = read_settings(KeeperSettings, ours)
        require_rights(settings.privilege_profile)
        lock = lock_data_directory(settings.data_dir)
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        identity = next_identity(settings.data_dir)
    except (SettingsError, KeeperError, OSError) as error:
        sys.stderr.write(f"wasm-executor: {error}\n")
        return WRONG_SETTING if isinstance(error, SettingsError | RightsMissingError) else 1
    configure_events(settings.log_level, settings.log_format)
    become_subreaper()
    name_process("wasmlet-keeper")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    code = Keeper(identity, settings, tuple(sys.argv[1:]) or SUPERVISOR, passed_on).run()
    os.close(lock)
    return code


def require_rights(profile: PrivilegeProfile) -> None:
    """Raise `RightsMissingError` now, and not fail at each container's start."""
    if profile is PrivilegeProfile.NODE:
        from wasm_executor.container.ownroot import why_not

        reason = why_not()
        if reason is not None:
            raise RightsMissingError(profile, reason)


if __name__ == "__main__":
    sys.exit(main())
