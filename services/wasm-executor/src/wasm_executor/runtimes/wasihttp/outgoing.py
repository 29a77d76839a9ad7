"""Requests that a handler makes: to allowed hosts only."""

from wasm_executor.runtimes.wasihttp.errors import HttpFailedError
from wasm_executor.runtimes.wasihttp.messages import OutgoingRequest, RequestOptions


class Outgoing:
    """What one container's handlers may ask of others."""

    def send(
        self, request: OutgoingRequest, options: RequestOptions | None, deadline: float  # noqa: ARG002 - nothing is allowed
    ) -> object:
        """Begin a request, or raise `HttpFailedError`."""
        raise HttpFailedError("HTTP-request-denied")
