"""`wasi:http/outgoing-handler`: where a guest's own requests go out, or not."""

from typing import Final

from wasm_executor.runtimes.wasihttp.errorcodes import ERROR_CODE
from wasm_executor.runtimes.wasihttp.errors import HttpFailedError
from wasm_executor.runtimes.wasihttp.httpresources import (
    FUTURE_INCOMING_RESPONSE,
    OUTGOING_REQUEST,
    REQUEST_OPTIONS,
)
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.linking import Function, Interface
from wasm_executor.runtimes.wasihttp.messages import OutgoingRequest, RequestOptions
from wasm_executor.runtimes.wasihttp.values import Case, Err, Ok, option_of, result_of


def _handle(
    instance: Instance, request: OutgoingRequest, options: RequestOptions | None
) -> Ok | Err:
    try:
        assert instance.outgoing is not None
        instance.on_wait()  # for the name's lookup
        return Ok(instance.outgoing.send(request, options, instance.deadline))
    except HttpFailedError as error:
        return Err(Case(error.code, error.payload))


INTERFACES: Final[dict[str, Interface]] = {
    "wasi:http/outgoing-handler": {
        "handle": Function(
            _handle,
            (OUTGOING_REQUEST.own, option_of(REQUEST_OPTIONS.own)),
            result_of(FUTURE_INCOMING_RESPONSE.own, ERROR_CODE),
        )
    }
}
