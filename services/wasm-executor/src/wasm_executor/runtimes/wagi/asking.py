"""`wasi_experimental_http`, by which WAGI's modules make requests of their own.

It is what WASI 0.1 had before `wasi:http`: functions that take pointers and return a number. Hosts
are allowed as for `wasi-http`. A process handles one request, so what it asks lives as long.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from wasmtime import Caller, FuncType, Linker, Memory, ValType

from wasm_executor.runtimes.wasihttp.asking import Ask
from wasm_executor.runtimes.wasihttp.errors import (
    HttpFailedError,
    RequestTimeoutError,
    StreamClosedError,
    StreamFailedError,
)
from wasm_executor.runtimes.wasihttp.fields import Fields, FieldsError
from wasm_executor.runtimes.wasihttp.instance import Instance
from wasm_executor.runtimes.wasihttp.messages import (
    IncomingResponse,
    OutgoingRequest,
)
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing

MODULE: Final = "wasi_experimental_http"
MOST_OPEN: Final = 64
_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
)

INVALID_HANDLE: Final = 1
MEMORY_NOT_FOUND: Final = 2
MEMORY_ACCESS: Final = 3
BUFFER_TOO_SMALL: Final = 4
HEADER_NOT_FOUND: Final = 5
NOT_UTF8: Final = 6
NOT_ALLOWED: Final = 7
INVALID_METHOD: Final = 8
INVALID_ENCODING: Final = 9
INVALID_URL: Final = 10
REQUEST_FAILED: Final = 11
TOO_MANY: Final = 13
_CODES: Final = {
    "HTTP-request-denied": NOT_ALLOWED,
    "destination-IP-prohibited": NOT_ALLOWED,
    "HTTP-request-URI-invalid": INVALID_URL,
}


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Open(NamedTuple):
    ask: Ask
    response: IncomingResponse


class _View:
    """A guest's memory during one call."""

    def __init__(self, caller: Caller) -> None:
        memory = caller.get("memory")
        if not isinstance(memory, Memory):
            raise _RefusedError(MEMORY_NOT_FOUND)
        self._caller, self._memory = caller, memory

    def read(self, pointer: int, length: int) -> bytes:
        start, size = pointer & 0xFFFF_FFFF, length & 0xFFFF_FFFF
        self._require(start, size)
        return bytes(self._memory.read(self._caller, start, start + size))

    def text(self, pointer: int, length: int) -> str:
        try:
            return self.read(pointer, length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _RefusedError(NOT_UTF8) from error

    def write(self, pointer: int, data: bytes) -> None:
        start = pointer & 0xFFFF_FFFF
        self._require(start, len(data))
        if data:
            self._memory.write(self._caller, data, start)

    def put(self, pointer: int, data: bytes, room: int, length_at: int) -> None:
        """Write what has to fit whole, and its length."""
        if len(data) > room & 0xFFFF_FFFF:
            raise _RefusedError(BUFFER_TOO_SMALL)
        self.write(pointer, data)
        self.write(length_at, len(data).to_bytes(4, "little"))

    def _require(self, start: int, size: int) -> None:
        if start + size > self._memory.data_len(self._caller):
            raise _RefusedError(MEMORY_ACCESS)


class Asking:
    """The functions; made in the zygote, they do nothing before `begin`."""

    def __init__(self) -> None:
        self._outgoing: Outgoing | None = None
        self._waiting = Instance([], [], None)
        self._deadline = 0.0
        self._open: dict[int, _Open] = {}
        self._last = 0

    def begin(self, outgoing: Outgoing, deadline: float) -> None:
        """Be a guest's from now on."""
        self._outgoing, self._deadline = outgoing, deadline
        self._waiting.begin(deadline, lambda: None)

    def define(self, linker: Linker) -> None:
        functions: dict[str, tuple[int, Callable[..., None]]] = {
            "req": (10, self._req),
            "close": (1, self._close),
            "header_get": (6, self._header_get),
            "headers_get_all": (4, self._headers_get_all),
            "body_read": (4, self._body_read),
        }
        for name, (parameters, function) in functions.items():
            kind = FuncType([ValType.i32()] * parameters, [ValType.i32()])
            linker.define_func(MODULE, name, kind, _coded(function), access_caller=True)

    def _req(self, view: _View, *at: int) -> None:
        url, method = view.text(*at[0:2]), view.text(*at[2:4]).upper()
        fields = _fields(view.text(*at[4:6]))
        if method not in _METHODS:
            raise _RefusedError(INVALID_METHOD)
        if len(self._open) >= MOST_OPEN:
            raise _RefusedError(TOO_MANY)
        request = _request(url, method, fields, view.read(*at[6:8]))
        opened = self._asked(request)
        self._last += 1
        self._open[self._last] = opened
        view.write(at[8], opened.response.status.to_bytes(2, "little"))
        view.write(at[9], self._last.to_bytes(4, "little"))

    def _asked(self, request: OutgoingRequest) -> _Open:
        assert self._outgoing is not None
        ask = self._outgoing.send(request, None, self._deadline)
        while (told := ask.get()) is None:
            self._waiting.wait(ask)
        found = told.value.value
        if isinstance(found, IncomingResponse):
            return _Open(ask, found)
        raise HttpFailedError(found.tag)

    def _close(self, _view: _View, handle: int) -> None:
        self._open.pop(handle, None)

    def _header_get(self, view: _View, *at: int) -> None:
        values = self._of(at[0]).response.fields.get(view.text(*at[1:3]))
        if not values:
            raise _RefusedError(HEADER_NOT_FOUND)
        view.put(at[3], values[0], at[4], at[5])

    def _headers_get_all(self, view: _View, *at: int) -> None:
        entries = self._of(at[0]).response.fields.entries
        text = b"".join(b"%b:%b\n" % (name.encode(), value) for name, value in entries)
        view.put(at[1], text, at[2], at[3])

    def _body_read(self, view: _View, *at: int) -> None:
        ask, room = self._of(at[0]).ask, at[2] & 0xFFFF_FFFF
        data = b""
        try:
            while room and not (data := ask.read(room)):
                self._waiting.wait(ask)
        except StreamClosedError:
            data = b""
        view.put(at[1], data, at[2], at[3])

    def _of(self, handle: int) -> _Open:
        opened = self._open.get(handle)
        if opened is None:
            raise _RefusedError(INVALID_HANDLE)
        return opened


def _coded(function: Callable[..., None]) -> Callable[..., int]:
    """Return what never raises: what is wrong is the guest's to hear."""

    def call(caller: Caller, *at: Any) -> int:
        try:
            function(_View(caller), *at)
        except _RefusedError as error:
            return error.code
        except HttpFailedError as error:
            return _CODES.get(error.code, REQUEST_FAILED)
        except (RequestTimeoutError, StreamFailedError):
            return REQUEST_FAILED
        return 0

    return call


def _fields(text: str) -> Fields:
    fields = Fields()
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            continue
        try:
            fields.append(name.strip(), value.strip().encode())
        except FieldsError as error:
            if error.tag != "forbidden":  # of the connection: the host sets those
                raise _RefusedError(INVALID_ENCODING) from error
    return fields


def _request(url: str, method: str, fields: Fields, body: bytes) -> OutgoingRequest:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise _RefusedError(INVALID_URL)
    ends = [rest.find(mark) for mark in "/?#" if mark in rest]
    end = min(ends, default=len(rest))
    request = OutgoingRequest(fields)
    request.scheme, request.authority, request.method = scheme.upper(), rest[:end], method
    path = rest[end:].partition("#")[0]
    request.target = path if path.startswith("/") else f"/{path}"
    if any(ord(each) <= ord(" ") for each in rest):
        raise _RefusedError(INVALID_URL)
    taken = request.take_body()
    assert taken is not None
    if body:
        taken.write(body)
    taken.finish(None)
    return request
