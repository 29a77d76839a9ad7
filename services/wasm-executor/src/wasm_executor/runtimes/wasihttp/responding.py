"""A handler's answer on its way to the client: how it is framed, and when it is sent.

What is small enough goes out whole with its length once it is finished; what is flushed before, or
larger, is chunked, or ends with the connection for a client of HTTP/1.0. An answer that breaks off
closes the connection, so that nobody takes a part for the whole.
"""

import time
from http import HTTPStatus
from typing import Final

from wasm_executor.runtimes.wasihttp.connection import Connection, Request
from wasm_executor.runtimes.wasihttp.errors import HttpFailedError, StreamClosedError
from wasm_executor.runtimes.wasihttp.fields import Fields, lines
from wasm_executor.runtimes.wasihttp.messages import HELD_BACK, OutgoingResponse
from wasm_executor.runtimes.wasihttp.streams import WRITABLE, Awaited

NO_BODY: Final = frozenset((204, 304))
LAST_CHUNK: Final = b"0\r\n"
_PHRASES: Final = {each.value: each.phrase for each in HTTPStatus}
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class _Clock:
    """The `date` of answers, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, day = second, time.gmtime(second)
            self._text = (
                f"{_DAYS[day.tm_wday]}, {day.tm_mday:02} {_MONTHS[day.tm_mon - 1]} {day.tm_year}"
                f" {day.tm_hour:02}:{day.tm_min:02}:{day.tm_sec:02} GMT"
            ).encode()
        return self._text


_clock: Final = _Clock()


class Responder:
    """Where one request's answer goes: the guest's `response-outparam`, and its body's sink."""

    def __init__(self, connection: Connection, request: Request, *, last: bool) -> None:
        self.status = 0
        """0 until there is an answer."""
        self.sent = 0
        """Bytes of the body."""
        self.failure: HttpFailedError | None = None
        self.keep_alive = request.keep_alive and not last
        self.finished = False
        self._connection = connection
        self._request = request
        self._fields: list[tuple[str, bytes]] = []
        self._length: int | None = None
        self._chunked = False
        self._begun = False
        self._held = bytearray()
        self._out = bytearray()

    @property
    def begun(self) -> bool:
        """Whether part of an answer is on its way."""
        return self._begun

    # The guest's side

    def respond(self, response: OutgoingResponse) -> None:
        self.status = response.status
        self._fields = response.fields.entries
        self._length = _length(self._fields)
        response.send(self)

    def fail(self, error: HttpFailedError) -> None:
        self.failure = error

    def room(self) -> int:
        if self._connection.lost and self._begun and not self._out:
            return HELD_BACK
        self._push()
        return max(0, HELD_BACK - len(self._out) - len(self._held))

    def ready(self) -> bool:
        try:
            return self.room() > 0
        except StreamClosedError:
            return True

    def awaited(self) -> Awaited:
        return (self._connection.fileno(), WRITABLE) if self._out else None

    def body(self, data: bytes) -> None:
        self.sent += len(data)
        if self._length is not None and self.sent > self._length:
            self.abort()
            raise StreamClosedError("more than the content-length that was said")
        if self._begun:
            self._put(data)
            self._push()
            return
        self._held += data
        if len(self._held) >= HELD_BACK:
            self.flush()

    def flush(self) -> None:
        if not self._begun:
            self._begin(whole=False)
            if self._held:
                self._put(self._held)
                self._held.clear()
        self._push()

    def flushed(self) -> bool:
        self._push()
        return not self._out

    def send_held(self) -> None:
        """The handler waits: nobody shall wait for what it has said already."""
        if self._held and not self.finished:
            try:
                self.flush()
            except StreamClosedError:
                return  # it finds out when it goes on

    def finish(self, trailers: Fields | None) -> None:
        if self._length is not None and self._has_body and self.sent != self._length:
            self.abort()
            raise HttpFailedError("HTTP-response-body-size", self.sent)
        self.finished = True
        if not self._request.complete:
            self._connection.receive()
            self.keep_alive = self.keep_alive and self._request.complete
        if not self._begun:
            self._begin(whole=trailers is None)
            self._put(self._held)
            self._held.clear()
        if self._chunked:
            self._out += LAST_CHUNK + lines(trailers.entries if trailers else []) + b"\r\n"
        self._push()

    def abort(self) -> None:
        if self._begun:
            self.keep_alive = False
        else:
            self.status = 0  # nothing was said yet: it can still be told as a failure

    # The wire

    @property
    def _has_body(self) -> bool:
        return self._request.method != "HEAD" and self.status not in NO_BODY

    def _begin(self, *, whole: bool) -> None:
        self._begun = True
        head = bytearray(_status_line(self.status))
        head += lines(self._fields)
        if not any(name == "date" for name, _ in self._fields):
            head += b"date: " + _clock.now() + b"\r\n"
        head += self._framing(whole=whole)
        if not self.keep_alive:
            head += b"connection: close\r\n"
        elif self._request.version == "1.0":
            head += b"connection: keep-alive\r\n"
        self._out += head + b"\r\n"

    def _framing(self, *, whole: bool) -> bytes:
        if self._length is not None or self.status in NO_BODY:
            return b""
        if whole and (self._request.method != "HEAD" or self.sent):
            return b"content-length: %d\r\n" % self.sent
        if self._request.version == "1.0":
            self.keep_alive = False
            return b""
        self._chunked = self._has_body
        return b"transfer-encoding: chunked\r\n"

    def _put(self, data: bytes | bytearray) -> None:
        if not data or not self._has_body:
            return
        if self._chunked:
            self._out += b"%x\r\n%b\r\n" % (len(data), bytes(data))
        else:
            self._out += data

    def _push(self) -> None:
        while self._out and (taken := self._connection.say(self._out)):
            del self._out[:taken]


def whole(status: int, text: str, *, head: bool = False, close: bool = True) -> bytes:
    """Return an answer of this server's own."""
    body = f"{text}\n".encode()
    text_head = _status_line(status) + b"date: " + _clock.now() + b"\r\n"
    text_head += b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        text_head += b"retry-after: 1\r\n"
    if close:
        text_head += b"connection: close\r\n"
    return text_head + b"\r\n" + (b"" if head else body)


def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode()


def _length(fields: list[tuple[str, bytes]]) -> int | None:
    given = [value for name, value in fields if name == "content-length"]
    return int(given[0]) if given and given[0].isdigit() else None
