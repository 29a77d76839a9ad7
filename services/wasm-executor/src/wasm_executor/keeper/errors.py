"""What can go wrong between supervisor and keeper."""

from wasm_executor.container.plan import StartFailureReason


class KeeperError(Exception):
    """Base; `retryable` says whether the same call may work later."""

    retryable = False


class RightsMissingError(KeeperError):
    """The privilege profile asks for more than this executor may: set another, or give it that."""

    def __init__(self, profile: str, reason: str) -> None:
        super().__init__(
            f"the privilege profile {profile} needs the right to mount (CAP_SYS_ADMIN, Linux "
            f"5.12 or newer): {reason}"
        )
        self.profile = profile
        self.reason = reason


class KeeperGoneError(KeeperError):
    """The keeper closed its end: this supervisor is about to be killed with it."""


class SpawnFailedError(KeeperError):
    """No guest came of a spawn and none is left over: try again."""

    retryable = True


class StartFailedError(KeeperError):
    """The runtime refused the artifact or the plan; the key is free again."""

    def __init__(self, reason: StartFailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class UnknownContainerError(KeeperError):
    """The keeper's table has no such key."""


class ContainerInUseError(KeeperError):
    """The key exists already, or its process still runs."""


class StdinFullError(KeeperError):
    """A container does not read what it was given before: try again in a moment."""


class StdinClosedError(KeeperError):
    """A container's stdin is closed, or was never held open: nothing can be written to it."""


class DataDirectoryInUseError(KeeperError):
    """Another keeper holds the lock of this data directory."""
