"""One client's connection: HTTP/1.1 requests in their order, and the bytes of the answers.

The parser is llhttp (by httptools): strict, so that what a proxy before us takes for one request
is not two here. While a request is handled, its connection is read by whoever reads its body, and
written by whoever writes the answer; between requests it is the loop's.
"""

import math
import socket
import time
from collections import deque
from typing import Final

import httptools

from wasm_executor.runtimes.wasihttp.errors import (
    BodyTooLargeError,
    StreamClosedError,
    StreamFailedError,
)
from wasm_executor.runtimes.wasihttp.fields import Fields
from wasm_executor.runtimes.wasihttp.streams import READABLE, Awaited

RECEIVED_AT_ONCE: Final = 64 * 1024
MOST_HEAD: Final = 64 * 1024
"""Bytes of a request's line and header fields together: 431 above."""
MOST_TARGET: Final = 16 * 1024
"""Bytes of a request's target: 414 above."""
TOO_LARGE: Final = 413
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequestError(Exception):
    """What a client sent is no request that can be answered otherwise."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Request:
    """One request: its head, and its body as far as it has come."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.target = b""
        self.entries: list[tuple[str, bytes]] = []
        self.host: bytes | None = None
        self.method = ""
        self.version = "1.1"
        self.keep_alive = False
        self.awaits_continue = False
        self.complete = False
        self.trailers: Fields | None = None
        self.chunks: deque[bytes] = deque()
        self.body_bytes = 0
        """What has come of the body, read or not."""
        self.began_at = time.monotonic()

    def read(self, size: int) -> bytes:
        """Return what has come of the body, at least a look at the socket later."""
        if not self.chunks and not self.complete:
            self._ask_for_it()
            self.connection.receive()
        if not self.chunks:
            if self.complete:
                raise StreamClosedError("the body is read")
            self.connection.require_whole()
            return b""
        chunk = self.chunks.popleft()
        if len(chunk) > size:
            self.chunks.appendleft(chunk[size:])
            chunk = chunk[:size]
        return chunk

    def ready(self) -> bool:
        if not self.chunks and not self.complete:
            self._ask_for_it()
            self.connection.receive()
        return bool(self.chunks) or self.complete or self.connection.lost

    def awaited(self) -> Awaited:
        return (self.connection.fileno(), READABLE)

    def close(self) -> None:
        """The rest of the body is the connection's to deal with."""

    def _ask_for_it(self) -> None:
        if self.awaits_continue:
            self.awaits_continue = False
            self.connection.say(CONTINUE)


class Connection:
    """Requests come out of `requests`; the last one may still be coming in."""

    def __init__(self, client: socket.socket, peer: str, max_body_bytes: int | None = None) -> None:
        client.setblocking(False)
        self.peer = peer
        self.requests: deque[Request] = deque()
        self.lost = False
        """Nothing more comes: the client has closed, or sent what is no HTTP."""
        self.problem: BadRequestError | None = None
        self.since = time.monotonic()
        """When it became idle, or the head that is coming in began."""
        self._socket = client
        self._parser = httptools.HttpRequestParser(self)
        self._max_body = math.inf if max_body_bytes is None else max_body_bytes
        self._coming: Request | None = None
        self._head = True
        self._head_bytes = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def in_head(self) -> bool:
        """Whether part of a request's head has come."""
        return self._head_bytes > 0

    def receive(self) -> None:
        """Take what has come, at most `RECEIVED_AT_ONCE` bytes."""
        if self.lost:
            return
        try:
            data = self._socket.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost = True
            return
        if not self.in_head:
            self.since = time.monotonic()
        self._feed(data)

    def require_whole(self) -> None:
        """Raise why the rest of a body will not come, if it will not."""
        if self.problem is not None and self.problem.status == TOO_LARGE:
            raise BodyTooLargeError("the body is too large")
        if self.lost:
            raise StreamFailedError("the client has gone")

    def _feed(self, data: bytes) -> None:
        try:
            if self._head:
                self._head_bytes += len(data)
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.lost = True  # what follows would be another protocol: the request is answered
        except httptools.HttpParserError as error:
            cause = error.__context__
            if not isinstance(cause, BadRequestError):
                cause = BadRequestError(400, str(error))
            self._refuse(cause)
        if self._head and self._head_bytes > MOST_HEAD and not self.lost:
            self._refuse(BadRequestError(431, "the head is too large"))

    def _refuse(self, error: BadRequestError) -> None:
        """Answer what came before it, then say what is wrong."""
        self.lost, self.problem = True, error

    # What the parser calls

    def on_message_begin(self) -> None:
        self._coming = Request(self)
        self._head = True

    def on_url(self, part: bytes) -> None:
        assert self._coming is not None
        self._coming.target += part
        if len(self._coming.target) > MOST_TARGET:
            raise BadRequestError(414, "the target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._coming
        assert request is not None
        entry = (name.decode("ascii", "replace").lower(), value)
        if self._head:
            request.entries.append(entry)
        else:
            self._add_trailer(request, entry)

    def _add_trailer(self, request: Request, entry: tuple[str, bytes]) -> None:
        if request.trailers is None:
            request.trailers = Fields(mutable=False)
        request.trailers.entries.append(entry)
        if sum(len(name) + len(value) for name, value in request.trailers.entries) > MOST_HEAD:
            raise BadRequestError(431, "the trailers are too large")

    def on_headers_complete(self) -> None:
        request, parser = self._coming, self._parser
        assert request is not None
        self._head, self._head_bytes = False, 0
        request.method = parser.get_method().decode()
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        hosts = [value for name, value in request.entries if name == "host"]
        if len(hosts) > 1 or (not hosts and request.version == "1.1"):
            raise BadRequestError(400, "the request needs one Host")
        request.host = hosts[0] if hosts else None
        length = [value for name, value in request.entries if name == "content-length"]
        if length and int(length[0]) > self._max_body:
            raise BadRequestError(TOO_LARGE, "the body is too large")
        expected = [value.lower() for name, value in request.entries if name == "expect"]
        if expected:
            if expected != [b"100-continue"]:
                raise BadRequestError(417, "this expectation is not met")
            request.awaits_continue = request.version == "1.1"
        self.requests.append(request)

    def on_body(self, body: bytes) -> None:
        request = self._coming
        assert request is not None
        request.awaits_continue = False
        request.body_bytes += len(body)
        if request.body_bytes > self._max_body:
            raise BadRequestError(TOO_LARGE, "the body is too large")
        request.chunks.append(body)

    def on_message_complete(self) -> None:
        assert self._coming is not None
        self._coming.complete = True
        self._coming.awaits_continue = False
        self._head = True
        self.since = time.monotonic()

    # Writing

    def say(self, data: bytes | bytearray) -> int:
        """Send what the socket takes; raise `StreamClosedError` if the client is gone."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.lost = True
            raise StreamClosedError("the client has gone") from error

    def end_writing(self) -> None:
        """Tell the client that no more comes; what it still sends does not reset what was said."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.lost = True

    def discard(self) -> None:
        """Take what has come and forget it."""
        try:
            self.lost = not self._socket.recv(RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self.lost = True

    def close(self) -> None:
        self._socket.close()
