"""One request to another server, moved on whenever somebody looks: nothing here waits.

It is the guest's `future-incoming-response`, the sink of its body, and the body of what comes back.
"""

import errno
import os
import select
import socket
import ssl
import time
from collections import deque
from typing import Any, Final

import httptools

from wasm_executor.runtimes.wasihttp.errors import (
    HttpFailedError,
    StreamClosedError,
    StreamFailedError,
)
from wasm_executor.runtimes.wasihttp.fields import Fields, lines
from wasm_executor.runtimes.wasihttp.messages import HELD_BACK, IncomingResponse, OutgoingRequest
from wasm_executor.runtimes.wasihttp.streams import Awaited
from wasm_executor.runtimes.wasihttp.targets import Target
from wasm_executor.runtimes.wasihttp.values import Case, Err, Ok

MOST_HEAD: Final = 64 * 1024
RECEIVED_AT_ONCE: Final = 64 * 1024
_BOTH: Final = select.POLLIN | select.POLLOUT
_PENDING: Final = (0, errno.EINPROGRESS, errno.EALREADY, errno.EISCONN)
_CODES: Final = (
    (ssl.SSLCertVerificationError, "TLS-certificate-error"),
    (ssl.SSLError, "TLS-protocol-error"),
    (OSError, "connection-terminated"),
    (httptools.HttpParserError, "HTTP-protocol-error"),
)
"""What an error means to the guest; the first that fits."""
_BODILESS: Final = (204, 304)
_LEAST_FINAL: Final = 200


class Ask:
    """The exchange as a whole."""

    def __init__(self, request: OutgoingRequest, target: Target, *, connect_by: float) -> None:
        self.trailers: Fields | None = None
        self.complete = False
        self._request = request
        self._target = target
        self._connect_by = connect_by
        self._addresses = list(target.addresses)
        self._socket: socket.socket | None = None
        self._connected = self._shaken = False
        self._failure: HttpFailedError | None = None
        self._response: IncomingResponse | None = None
        self._told = False
        self._begun = self._chunked = False
        self._held = bytearray()
        self._out = bytearray()
        self._parser = httptools.HttpResponseParser(self)
        self._entries: list[tuple[str, bytes]] = []
        self._in_head = True
        self._head_bytes = 0
        self._by_length = False
        self._chunks: deque[bytes] = deque()

    # `future-incoming-response`

    def get(self) -> Ok | Err | None:
        self._move()
        if self._told:
            return Err()
        self._told = self._failure is not None or self._response is not None
        if self._failure is not None:
            return Ok(Err(Case(self._failure.code, self._failure.payload)))
        return None if self._response is None else Ok(Ok(self._response))

    def ready(self) -> bool:
        self._move()
        if self._failure is not None or self.complete or self._chunks:
            return True
        return self._response is not None and not self._told

    def awaited(self) -> Awaited:
        if self._failure is not None or self._socket is None:
            return None
        if not self._connected:
            return (self._socket.fileno(), select.POLLOUT, self._connect_by)
        wanted = _BOTH if self._out else select.POLLIN
        return (self._socket.fileno(), wanted)

    def drop(self) -> None:
        """The guest wants no answer, or has it."""
        if self._response is None and self._socket is not None:
            self._socket.close()
            self._socket = None

    # The sink of the request's body

    def room(self) -> int:
        self._move()
        if self._failure is not None:
            raise StreamClosedError("the request has failed")
        return max(0, HELD_BACK - len(self._out) - len(self._held))

    def body(self, data: bytes) -> None:
        if self._begun:
            self._put(data)
        else:
            self._held += data
            if len(self._held) >= HELD_BACK:
                self._begin(whole=False)
        self._move()

    def flush(self) -> None:
        if not self._begun:
            self._begin(whole=False)
        self._move()

    def flushed(self) -> bool:
        self._move()
        return not self._out or self._failure is not None

    def finish(self, trailers: Fields | None) -> None:
        if not self._begun:
            self._begin(whole=trailers is None)
        if self._chunked:
            self._out += b"0\r\n" + lines(trailers.entries if trailers else []) + b"\r\n"
        self._move()

    def abort(self) -> None:
        self._fail("internal-error", "the request's body has no end")

    def _begin(self, *, whole: bool) -> None:
        self._begun = True
        request, fields = self._request, self._request.fields.entries
        target = request.target or "/"
        head = f"{request.method} {target} HTTP/1.1\r\nhost: {self._target.authority}\r\n"
        self._out += head.encode("latin-1", "replace") + lines(fields)
        if not any(name == "content-length" for name, _ in fields):
            if not whole:
                self._chunked = True
                self._out += b"transfer-encoding: chunked\r\n"
            elif self._held or request.method not in ("GET", "HEAD"):
                self._out += b"content-length: %d\r\n" % len(self._held)
        self._out += b"connection: close\r\n\r\n"
        held, self._held = bytes(self._held), bytearray()
        self._put(held)

    def _put(self, data: bytes) -> None:
        if data:
            self._out += b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    # The body of the answer

    def read(self, size: int) -> bytes:
        if not self._chunks:
            self._move()
        if not self._chunks:
            if self._failure is not None:
                raise StreamFailedError(self._failure.code)
            if self.complete:
                raise StreamClosedError("the body is read")
            return b""
        chunk = self._chunks.popleft()
        if rest := chunk[size:]:
            self._chunks.appendleft(rest)
        return chunk[:size]

    def close(self) -> None:
        """The guest reads no more; its connection ends with it."""

    # The wire

    def _move(self) -> None:
        """Do what can be done at once."""
        if self._failure is not None or self.complete:
            return
        try:
            if self._is_connected() and self._is_shaken():
                self._send()
                if not self._chunks:
                    self._receive()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except (OSError, httptools.HttpParserError) as error:
            self._fail(next(code for kind, code in _CODES if isinstance(error, kind)))

    def _is_connected(self) -> bool:
        if self._connected:
            return True
        if time.monotonic() >= self._connect_by:
            self._fail("connection-timeout")
            return False
        if self._socket is None:
            family = self._addresses[0][0]
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
        code = self._socket.connect_ex(self._addresses[0][1:])
        self._connected = code in (0, errno.EISCONN)
        if code not in _PENDING:
            self._try_next(code)
        return self._connected

    def _try_next(self, code: int) -> None:
        del self._addresses[0]
        assert self._socket is not None
        self._socket.close()
        self._socket = None
        if self._addresses:
            self._is_connected()
        elif code == errno.ECONNREFUSED:
            self._fail("connection-refused")
        else:
            self._fail("destination-unavailable", os.strerror(code))

    def _is_shaken(self) -> bool:
        if self._target.tls is None or self._shaken:
            return True
        if not isinstance(self._socket, ssl.SSLSocket):
            assert self._socket is not None
            # As bytes: a text would be encoded by a module that cannot be loaded any more.
            self._socket = self._target.tls.wrap_socket(
                self._socket,
                server_hostname=self._target.host.encode("ascii"),
                do_handshake_on_connect=False,
            )
        self._socket.do_handshake()
        self._shaken = True
        return True

    def _send(self) -> None:
        assert self._socket is not None
        while self._out:
            try:
                taken = self._socket.send(self._out)
            except (BlockingIOError, ssl.SSLWantWriteError):
                return
            del self._out[:taken]

    def _receive(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(RECEIVED_AT_ONCE)
        if data:
            self._head_bytes += len(data) if self._in_head else 0
            self._parser.feed_data(data)
            if self._in_head and self._head_bytes > MOST_HEAD:
                self._fail("HTTP-response-header-section-size", MOST_HEAD)
        elif self._response is None or self._by_length:
            self._fail("HTTP-response-incomplete")
        else:
            self._end()

    def on_message_begin(self) -> None:
        self._entries, self._in_head = [], True

    def on_header(self, name: bytes, value: bytes) -> None:
        entry = (name.decode("ascii", "replace").lower(), value)
        if self._in_head:
            self._entries.append(entry)
        else:
            if self.trailers is None:
                self.trailers = Fields(mutable=False)
            self.trailers.entries.append(entry)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _LEAST_FINAL:
            return
        self._in_head = False
        names = {name for name, _ in self._entries}
        self._by_length = bool(names & {"content-length", "transfer-encoding"})
        self._response = IncomingResponse(status, Fields(self._entries, mutable=False), self)
        if self._request.method == "HEAD" or status in _BODILESS:
            self._end()

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        if not self._in_head:
            self._end()

    def _end(self) -> None:
        self.complete = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _fail(self, code: str, detail: Any = None) -> None:
        if self.complete:
            return
        payload = (
            detail if code in ("internal-error", "HTTP-response-header-section-size") else None
        )
        self._failure = HttpFailedError(code, payload)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
