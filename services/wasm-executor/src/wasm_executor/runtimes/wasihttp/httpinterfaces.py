"""`wasi:http/types`: requests, responses, bodies and header fields of a guest."""

from collections.abc import Callable
from typing import Any, Final

from wasm_executor.runtimes.wasihttp.askinginterface import ASKING
from wasm_executor.runtimes.wasihttp.errorcodes import ERROR_CODE
from wasm_executor.runtimes.wasihttp.errors import HttpFailedError
from wasm_executor.runtimes.wasihttp.fields import Fields, FieldsError
from wasm_executor.runtimes.wasihttp.httpresources import (
    FIELDS,
    FUTURE_TRAILERS,
    INCOMING_BODY,
    INCOMING_REQUEST,
    INCOMING_RESPONSE,
    METHOD,
    OUTGOING_BODY,
    OUTGOING_RESPONSE,
    RESPONSE_OUTPARAM,
    SCHEME,
    method_case,
    taking,
)
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.iointerfaces import INPUT, OUTPUT, POLLABLE
from wasm_executor.runtimes.wasihttp.linking import Function, Interface, Resource
from wasm_executor.runtimes.wasihttp.messages import (
    Answer,
    OutgoingBody,
    OutgoingResponse,
    TakenBody,
)
from wasm_executor.runtimes.wasihttp.streams import Awaited
from wasm_executor.runtimes.wasihttp.values import (
    BOOL,
    BYTES,
    STRING,
    U16,
    Case,
    Err,
    Ok,
    Type,
    list_of,
    option_of,
    result_of,
    tuple_of,
    variant_of,
)

LEAST_STATUS: Final = 200
"""Below are answers that another one follows."""
MOST_STATUS: Final = 599
_HEADER_ERROR: Final = variant_of(invalid_syntax=None, forbidden=None, immutable=None)


def _changing(operation: Callable[..., None]) -> Callable[..., Ok | Err]:
    def attempt(_instance: Instance, *arguments: Any) -> Ok | Err:
        try:
            operation(*arguments)
        except FieldsError as error:
            return Err(Case(error.tag))
        return Ok()

    return attempt


def _from_list(_instance: Instance, entries: list[tuple[str, bytes]]) -> Ok | Err:
    fields = Fields()
    try:
        for name, value in entries:
            fields.append(name, value)
    except FieldsError as error:
        return Err(Case(error.tag))
    return Ok(fields)


def _change(operation: Callable[..., None], *types: Type) -> Function:
    return Function(_changing(operation), types, result_of(None, _HEADER_ERROR))


def _set_outparam(_instance: Instance, answer: Answer, given: Ok | Err) -> None:
    if isinstance(given, Ok):
        response: OutgoingResponse = given.value
        answer.respond(response)
    else:
        answer.fail(HttpFailedError(given.value.tag, given.value.value))


def _set_status(_instance: Instance, response: OutgoingResponse, status: int) -> Ok | Err:
    if not LEAST_STATUS <= status <= MOST_STATUS:
        return Err()
    response.status = status
    return Ok()


def _finish(_instance: Instance, body: OutgoingBody, trailers: Fields | None) -> Ok | Err:
    try:
        body.finish(trailers)
    except HttpFailedError as error:
        return Err(Case(error.code, error.payload))
    return Ok()


class _Trailers:
    """`future-trailers`: what follows a body, once all of that has been read."""

    def __init__(self, taken: TakenBody) -> None:
        self._body = taken.body
        self._got = False

    def ready(self) -> bool:
        return self._body.complete or self._body.ready()

    def awaited(self) -> Awaited:
        return self._body.awaited()

    def get(self) -> Ok | Err | None:
        if self._got:
            return Err()
        if not self._body.complete:
            return None
        self._got = True
        return Ok(Ok(self._body.trailers))


_FIELDS: Final[dict[str, Function | Resource]] = {
    "fields": FIELDS,
    "[constructor]fields": Function(lambda _: Fields(), (), FIELDS.own),
    "[static]fields.from-list": Function(
        _from_list, (list_of(tuple_of(STRING, BYTES)),), result_of(FIELDS.own, _HEADER_ERROR)
    ),
    "[method]fields.get": Function(
        lambda _, fields, name: fields.get(name), (FIELDS.borrow, STRING), list_of(BYTES)
    ),
    "[method]fields.has": Function(
        lambda _, fields, name: fields.has(name), (FIELDS.borrow, STRING), BOOL
    ),
    "[method]fields.set": _change(Fields.set, FIELDS.borrow, STRING, list_of(BYTES)),
    "[method]fields.delete": _change(Fields.delete, FIELDS.borrow, STRING),
    "[method]fields.append": _change(Fields.append, FIELDS.borrow, STRING, BYTES),
    "[method]fields.entries": Function(
        lambda _, fields: fields.entries, (FIELDS.borrow,), list_of(tuple_of(STRING, BYTES))
    ),
    "[method]fields.clone": Function(
        lambda _, fields: fields.clone(), (FIELDS.borrow,), FIELDS.own
    ),
}

_INCOMING: Final[dict[str, Function | Resource]] = {
    "incoming-request": INCOMING_REQUEST,
    "[method]incoming-request.method": Function(
        lambda _, request: method_case(request.method), (INCOMING_REQUEST.borrow,), METHOD
    ),
    "[method]incoming-request.path-with-query": Function(
        lambda _, request: request.target, (INCOMING_REQUEST.borrow,), option_of(STRING)
    ),
    "[method]incoming-request.scheme": Function(
        lambda _, _request: Case("HTTP"), (INCOMING_REQUEST.borrow,), option_of(SCHEME)
    ),
    "[method]incoming-request.authority": Function(
        lambda _, request: request.authority, (INCOMING_REQUEST.borrow,), option_of(STRING)
    ),
    "[method]incoming-request.headers": Function(
        lambda _, request: request.fields, (INCOMING_REQUEST.borrow,), FIELDS.own
    ),
    "[method]incoming-request.consume": taking(
        lambda request: request.consume(), INCOMING_REQUEST.borrow, INCOMING_BODY.own
    ),
    "incoming-response": INCOMING_RESPONSE,
    "[method]incoming-response.status": Function(
        lambda _, response: response.status, (INCOMING_RESPONSE.borrow,), U16
    ),
    "[method]incoming-response.headers": Function(
        lambda _, response: response.fields, (INCOMING_RESPONSE.borrow,), FIELDS.own
    ),
    "[method]incoming-response.consume": taking(
        lambda response: response.consume(), INCOMING_RESPONSE.borrow, INCOMING_BODY.own
    ),
    "incoming-body": INCOMING_BODY,
    "[method]incoming-body.stream": taking(
        lambda body: body.stream(), INCOMING_BODY.borrow, INPUT.own
    ),
    "[static]incoming-body.finish": Function(
        lambda _, body: _Trailers(body), (INCOMING_BODY.own,), FUTURE_TRAILERS.own
    ),
    "future-trailers": FUTURE_TRAILERS,
    "[method]future-trailers.subscribe": Function(
        lambda _, trailers: trailers, (FUTURE_TRAILERS.borrow,), POLLABLE.own
    ),
    "[method]future-trailers.get": Function(
        lambda _, trailers: trailers.get(),
        (FUTURE_TRAILERS.borrow,),
        option_of(result_of(result_of(option_of(FIELDS.own), ERROR_CODE))),
    ),
}

_OUTGOING: Final[dict[str, Function | Resource]] = {
    "response-outparam": RESPONSE_OUTPARAM,
    "[static]response-outparam.set": Function(
        _set_outparam, (RESPONSE_OUTPARAM.own, result_of(OUTGOING_RESPONSE.own, ERROR_CODE))
    ),
    "outgoing-response": OUTGOING_RESPONSE,
    "[constructor]outgoing-response": Function(
        lambda _, fields: OutgoingResponse(fields.frozen()), (FIELDS.own,), OUTGOING_RESPONSE.own
    ),
    "[method]outgoing-response.status-code": Function(
        lambda _, response: response.status, (OUTGOING_RESPONSE.borrow,), U16
    ),
    "[method]outgoing-response.set-status-code": Function(
        _set_status, (OUTGOING_RESPONSE.borrow, U16), result_of()
    ),
    "[method]outgoing-response.headers": Function(
        lambda _, response: response.fields, (OUTGOING_RESPONSE.borrow,), FIELDS.own
    ),
    "[method]outgoing-response.body": taking(
        lambda response: response.take_body(), OUTGOING_RESPONSE.borrow, OUTGOING_BODY.own
    ),
    "outgoing-body": OUTGOING_BODY,
    "[method]outgoing-body.write": taking(
        lambda body: body.stream(), OUTGOING_BODY.borrow, OUTPUT.own
    ),
    "[static]outgoing-body.finish": Function(
        _finish, (OUTGOING_BODY.own, option_of(FIELDS.own)), result_of(None, ERROR_CODE)
    ),
}

INTERFACES: Final[dict[str, Interface]] = {
    "wasi:http/types": {**_FIELDS, **_INCOMING, **_OUTGOING, **ASKING}
}
