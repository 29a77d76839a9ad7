"""The part of `wasi:http/types` with which a guest asks other servers."""

from collections.abc import Callable
from typing import Any, Final

from wasm_executor.runtimes.wasihttp.errorcodes import ERROR_CODE
from wasm_executor.runtimes.wasihttp.errors import HttpFailedError
from wasm_executor.runtimes.wasihttp.httpresources import (
    FIELDS,
    FUTURE_INCOMING_RESPONSE,
    INCOMING_RESPONSE,
    METHOD,
    OUTGOING_BODY,
    OUTGOING_REQUEST,
    REQUEST_OPTIONS,
    SCHEME,
    method_case,
    taking,
)
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.iointerfaces import ERROR, POLLABLE
from wasm_executor.runtimes.wasihttp.linking import Function, Resource
from wasm_executor.runtimes.wasihttp.messages import OutgoingRequest, RequestOptions
from wasm_executor.runtimes.wasihttp.values import STRING, U64, Case, Err, Ok, option_of, result_of


def _set_method(_instance: Instance, request: OutgoingRequest, method: Case) -> Ok | Err:
    request.method = method.value if method.tag == "other" else method.tag.upper()
    return Ok() if request.method.isascii() and request.method.isalpha() else Err()


def _setting(name: str) -> Callable[..., Ok]:
    def change(_instance: Instance, thing: object, value: Any) -> Ok:
        setattr(thing, name, value)
        return Ok()

    return change


def _scheme(name: str | None) -> Case | None:
    return (
        None if name is None else Case(name) if name in ("HTTP", "HTTPS") else Case("other", name)
    )


def _set_scheme(_instance: Instance, request: OutgoingRequest, scheme: Case | None) -> Ok:
    request.scheme = None if scheme is None else scheme.value or scheme.tag
    return Ok()


def _time(name: str, attribute: str) -> dict[str, Function]:
    of = REQUEST_OPTIONS.borrow
    return {
        f"[method]request-options.{name}": Function(
            lambda _, options: getattr(options, attribute), (of,), option_of(U64)
        ),
        f"[method]request-options.set-{name}": Function(
            _setting(attribute), (of, option_of(U64)), result_of()
        ),
    }


def _error_code(_instance: Instance, error: Exception) -> Case | None:
    return Case(error.code, error.payload) if isinstance(error, HttpFailedError) else None


ASKING: Final[dict[str, Function | Resource]] = {
    "outgoing-request": OUTGOING_REQUEST,
    "[constructor]outgoing-request": Function(
        lambda _, fields: OutgoingRequest(fields.frozen()), (FIELDS.own,), OUTGOING_REQUEST.own
    ),
    "[method]outgoing-request.body": taking(
        lambda request: request.take_body(), OUTGOING_REQUEST.borrow, OUTGOING_BODY.own
    ),
    "[method]outgoing-request.method": Function(
        lambda _, request: method_case(request.method), (OUTGOING_REQUEST.borrow,), METHOD
    ),
    "[method]outgoing-request.set-method": Function(
        _set_method, (OUTGOING_REQUEST.borrow, METHOD), result_of()
    ),
    "[method]outgoing-request.path-with-query": Function(
        lambda _, request: request.target, (OUTGOING_REQUEST.borrow,), option_of(STRING)
    ),
    "[method]outgoing-request.set-path-with-query": Function(
        _setting("target"), (OUTGOING_REQUEST.borrow, option_of(STRING)), result_of()
    ),
    "[method]outgoing-request.scheme": Function(
        lambda _, request: _scheme(request.scheme), (OUTGOING_REQUEST.borrow,), option_of(SCHEME)
    ),
    "[method]outgoing-request.set-scheme": Function(
        _set_scheme, (OUTGOING_REQUEST.borrow, option_of(SCHEME)), result_of()
    ),
    "[method]outgoing-request.authority": Function(
        lambda _, request: request.authority, (OUTGOING_REQUEST.borrow,), option_of(STRING)
    ),
    "[method]outgoing-request.set-authority": Function(
        _setting("authority"), (OUTGOING_REQUEST.borrow, option_of(STRING)), result_of()
    ),
    "[method]outgoing-request.headers": Function(
        lambda _, request: request.fields, (OUTGOING_REQUEST.borrow,), FIELDS.own
    ),
    "request-options": REQUEST_OPTIONS,
    "[constructor]request-options": Function(lambda _: RequestOptions(), (), REQUEST_OPTIONS.own),
    **_time("connect-timeout", "connect_ns"),
    **_time("first-byte-timeout", "first_byte_ns"),
    **_time("between-bytes-timeout", "between_bytes_ns"),
    "future-incoming-response": FUTURE_INCOMING_RESPONSE,
    "[method]future-incoming-response.subscribe": Function(
        lambda _, future: future, (FUTURE_INCOMING_RESPONSE.borrow,), POLLABLE.own
    ),
    "[method]future-incoming-response.get": Function(
        lambda _, future: future.get(),
        (FUTURE_INCOMING_RESPONSE.borrow,),
        option_of(result_of(result_of(INCOMING_RESPONSE.own, ERROR_CODE))),
    ),
    "http-error-code": Function(_error_code, (ERROR.borrow,), option_of(ERROR_CODE)),
}
