"""How a runtime says that a guest did not start, or did not end by itself."""

from wasm_executor.container.plan import StartFailure, StartFailureReason


class RuntimeFailureError(Exception):
    """Base of what a runtime raises."""


class GuestNotStartedError(RuntimeFailureError):
    """Nothing of the guest has run: a start error, exit code 128."""

    def __init__(self, reason: StartFailureReason, message: str) -> None:
        super().__init__(message)
        self.failure = StartFailure(reason=reason, message=message)


class GuestTrappedError(RuntimeFailureError):
    """The guest ran and ended in a trap: exit code 134, as wasmtime's command has it."""
