"""One request and its response over one connection, as a protocol of the event loop.

200 pods with a probe every second make 200 connections a second: no streams, no tasks, and no
parser for the answer that nearly all of them give, a plain one in one piece. h11 takes whatever
is not as plain as that; the texts for what is no response are Go's.
"""

import asyncio
import re
from typing import Final, cast

import h11

from wasm_executor.checking.dialling import dial
from wasm_executor.checking.errors import AnswerCutError, CheckingError, NoAnswerError
from wasm_executor.checking.finding import MAX_BODY_BYTES
from wasm_executor.checking.request import Get
from wasm_executor.checking.wording import (
    AWAITING_HEADERS,
    READING_BODY,
    error_name,
    joined,
    malformed,
)

MAX_HEAD_BYTES: Final = 256 * 1024
SWITCHED: Final = 101
_REQUEST: Final = h11.Request(
    method="GET",
    target="/",
    headers=[("Host", "pod"), ("Connection", "upgrade"), ("Upgrade", "any")],
)
"""h11 reads answers only to what it has sent. An upgrade that nobody asked for is an answer too."""
_END: Final = h11.EndOfMessage()
_UNEXPECTED_END: Final = "unexpected EOF"


_PLAIN: Final = re.compile(
    rb"HTTP/1\.[01] ((?!204|304)[2-5]\d\d) [^\r\n\0]*\r\n"
    rb"((?:[\w\-]+:[^\r\n\0]*\r\n)*)\r\n",
    re.ASCII,
)
_SIZE: Final = re.compile(
    rb"^content-length:[ \t]*(\d{1,9})[ \t]*\r$", re.MULTILINE | re.IGNORECASE
)
_NOT_SO_PLAIN: Final = re.compile(rb"^transfer-encoding:|^location:", re.MULTILINE | re.IGNORECASE)


class Answer:
    """What has come of a response."""

    __slots__ = ("body", "location", "status")

    def __init__(self, status: int, location: str) -> None:
        self.status = status
        self.location = location
        self.body = bytearray()


def plain_answer(data: bytes) -> Answer | None:
    """Read a response that says its length and is there whole; None for any other."""
    head = _PLAIN.match(data)
    if head is None:
        return None
    fields = head[2]
    sizes = _SIZE.findall(fields)
    said = fields.lower().count(b"content-length:")
    if len(sizes) != 1 or said != 1 or _NOT_SO_PLAIN.search(fields):
        return None
    size = min(int(sizes[0]), MAX_BODY_BYTES)
    if len(data) - head.end() < size:
        return None
    answer = Answer(int(head[1]), "")
    answer.body += data[head.end() : head.end() + size]
    return answer


async def exchange(get: Get, deadline: float | None) -> Answer:
    """Send it and read the response, its body up to the limit; the deadline is the loop's time."""
    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    under_way = _Exchange(get.head, answered)
    try:
        async with asyncio.timeout_at(deadline):
            await dial(lambda: under_way, get.host, get.port, tls=get.scheme == "https")
            return await answered
    except TimeoutError as error:
        raise under_way.too_slow() from error
    finally:
        under_way.leave()


class _Exchange(asyncio.Protocol):
    def __init__(self, request: bytes, answered: asyncio.Future[Answer]) -> None:
        self._request = request
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._head = b""
        self._http: h11.Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derive from nothing
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._answer is None and not self._answered.done():
            self._head += data
        self._take(data)

    def eof_received(self) -> None:
        self._take(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, OSError) and exc.errno and not self._answered.done():
            self._fail(self._read_failed(exc))
        self._take(b"")

    def too_slow(self) -> CheckingError:
        if self._answer is None:
            return NoAnswerError(AWAITING_HEADERS)
        return AnswerCutError(READING_BODY)

    def leave(self) -> None:
        """Close the connection; where it is not yet made, cancelling its making has closed it.

        What was read is let go: an error and its traceback keep this object until a collection.
        """
        if self._transport is not None:
            self._transport.close()
        self._head, self._http = b"", None
        self._answered.cancel()

    def _take(self, data: bytes) -> None:
        if self._answered.done():
            return
        if self._http is None:
            answer = plain_answer(data)
            if answer is not None:
                self._answered.set_result(answer)
                return
            self._http = _reader()
        try:
            self._http.receive_data(data)
            while not self._answered.done() and self._next(self._http):
                pass
        except h11.RemoteProtocolError as error:
            self._fail(self._not_understood(str(error), ended=not data))

    def _next(self, http: h11.Connection) -> bool:
        """Take one event; False where more bytes are needed for another one."""
        event = http.next_event()
        match event:
            case h11.Data(data=data) if self._answer is not None:
                self._answer.body += data
                if len(self._answer.body) >= MAX_BODY_BYTES:
                    self._succeed(self._answer)
            case h11.Response() | h11.InformationalResponse(status_code=101):
                self._answer = Answer(event.status_code, _location(event))
                if event.status_code == SWITCHED:
                    self._succeed(self._answer)
            case h11.EndOfMessage() if self._answer is not None:
                self._succeed(self._answer)
            case h11.NEED_DATA | h11.PAUSED:
                return False
        return True

    def _succeed(self, answer: Answer) -> None:
        del answer.body[MAX_BODY_BYTES:]
        self._answered.set_result(answer)

    def _fail(self, error: CheckingError) -> None:
        self._answered.set_exception(error)

    def _not_understood(self, reason: str, *, ended: bool) -> CheckingError:
        if self._answer is None:
            if not self._head:
                return NoAnswerError("EOF")
            return NoAnswerError(malformed(self._head, _UNEXPECTED_END if ended else reason))
        return AnswerCutError(_UNEXPECTED_END if ended else "invalid byte in chunk length")

    def _read_failed(self, error: OSError) -> CheckingError:
        assert self._transport is not None
        here = joined(*self._transport.get_extra_info("sockname")[:2])
        there = joined(*self._transport.get_extra_info("peername")[:2])
        text = f"read tcp {here}->{there}: read: {error_name(error)}"
        return NoAnswerError(text) if self._answer is None else AnswerCutError(text)


def _reader() -> h11.Connection:
    http = h11.Connection(h11.CLIENT, MAX_HEAD_BYTES)
    http.send(_REQUEST)
    http.send(_END)
    return http


def _location(response: h11.Response | h11.InformationalResponse) -> str:
    for name, value in response.headers:
        if name == b"location":
            return value.decode(errors="surrogateescape")
    return ""
