"""What stops the supervisor, or one thing that it does."""

from servicekit.errors import ServiceError, SettingsError


class ExecutorError(ServiceError):
    """Base of this service's errors; one that reaches the top ends the process with its text."""


class RunDirectoryOnDiskError(ExecutorError, SettingsError):
    """Plans hold secrets, and this directory would write them to a disk."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(
            f"{directory} is not on tmpfs: plans hold secrets. Set WASMLET_RUN_DIR to a folder "
            "on tmpfs, or WASMLET_RUN_DIR_MAY_BE_DISK=true to accept it"
        )


class PlanNotStoredError(ExecutorError):
    """There is no room for a plan in the run directory; what was there before still is."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the plan cannot be stored: {reason}")


class KeeperLostError(ExecutorError):
    """The keeper closed its end of the socket: nothing can be started or stopped any more."""
