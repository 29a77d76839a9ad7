"""What ends a handler's run from the host's side, and why an exchange cannot go on."""

from wasm_executor.runtimes.errors import RuntimeFailureError


class HandlerEndedError(RuntimeFailureError):
    """A host function does not return: the guest ends here."""


class RequestTimeoutError(HandlerEndedError):
    """The request has had its time: 504."""


class GuestExitError(HandlerEndedError):
    """The guest called `exit`; what it has answered by then counts."""


class StreamClosedError(RuntimeFailureError):
    """A stream is at its end, or its other side has gone: `stream-error.closed`."""


class StreamFailedError(RuntimeFailureError):
    """A stream broke: `stream-error.last-operation-failed`."""


class BodyTooLargeError(HandlerEndedError):
    """The request's body is larger than the pod lets it be: 413."""


class HttpFailedError(RuntimeFailureError):
    """An HTTP exchange failed; `code` is a case of `wasi:http/types.error-code`."""

    def __init__(self, code: str, payload: object = None) -> None:
        super().__init__(code)
        self.code = code
        self.payload = payload
