"""The resources of `wasi:http/types`, and what several of its functions have in common."""

from collections.abc import Callable
from typing import Any, Final

from wasm_executor.runtimes.wasihttp.linking import Function, Resource
from wasm_executor.runtimes.wasihttp.values import (
    STRING,
    Case,
    Err,
    Ok,
    Type,
    result_of,
    variant_of,
)

FIELDS: Final = Resource()
INCOMING_REQUEST: Final = Resource()
OUTGOING_REQUEST: Final = Resource()
REQUEST_OPTIONS: Final = Resource()
RESPONSE_OUTPARAM: Final = Resource()
INCOMING_RESPONSE: Final = Resource()
INCOMING_BODY: Final = Resource()
FUTURE_TRAILERS: Final = Resource()
OUTGOING_RESPONSE: Final = Resource()
OUTGOING_BODY: Final = Resource(lambda body: body.drop())
FUTURE_INCOMING_RESPONSE: Final = Resource(lambda future: future.drop())

METHODS: Final = dict.fromkeys(
    ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
)
METHOD: Final = variant_of(**METHODS, other=STRING)
SCHEME: Final = variant_of(HTTP=None, HTTPS=None, other=STRING)


def method_case(name: str) -> Case:
    return Case(name.lower()) if name.isupper() and name.lower() in METHODS else Case("other", name)


def _once(taken: object | None) -> Ok | Err:
    return Err() if taken is None else Ok(taken)


def taking(operation: Callable[[Any], object | None], of: Type, gives: Type) -> Function:
    """Return a method whose result can be had once."""
    return Function(lambda _, thing: _once(operation(thing)), (of,), result_of(gives))
