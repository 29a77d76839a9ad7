"""HTTP on one connection of a kubelet port: its client, its limits, and its switch to another form.

A connection costs memory and a descriptor before anybody is known. So the number of those whose
handshake is over (it has a time of its own), the size and the time of a request's head, and the
size of its body are bounded here.
"""

import asyncio
import ssl
import sys
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from log_server.domain.identity import PeerCertificate, peer_certificate
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError
from log_server.metrics import CONNECTIONS_REFUSED
from log_server.settings import LogServerSettings

_BUFFER_BYTES: Final = 16 * 1024
"""Above this much unsent, the next chunk waits. uvloop's own is half a megabyte per connection."""
_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_LINGER_S: Final = 0.5
"""So long, as in Go, what a client still sends is dropped, that our answer outruns the reset."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may take of a listener."""

    connections: int
    connections_of_peer: int
    header_bytes: int
    header_s: float
    body_bytes: int
    handshake_s: float
    idle_s: float
    stream_idle_s: float


def limits_of(settings: LogServerSettings) -> Limits:
    """Return the limits of the settings."""
    return Limits(
        connections=settings.max_connections,
        connections_of_peer=settings.max_connections_per_peer,
        header_bytes=settings.max_header_bytes,
        header_s=settings.header_timeout_s,
        body_bytes=settings.max_body_bytes,
        handshake_s=settings.handshake_timeout_s,
        idle_s=settings.idle_timeout_s,
        stream_idle_s=settings.streaming_idle_timeout_s,
    )


class Places:
    """How many connections a listener has, and each of its clients."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()

    def refusal(self, peer: str) -> str | None:
        """Return why this client may have no further one."""
        if self._taken.total() >= self._limits.connections:
            return "listener_full"
        return "peer_full" if self._taken[peer] >= self._limits.connections_of_peer else None

    def take(self, peer: str) -> None:
        """Count one."""
        self._taken[peer] += 1

    def leave(self, peer: str) -> None:
        """Count one less."""
        self._taken[peer] -= 1
        if not self._taken[peer]:
            del self._taken[peer]


type Headers = Iterable[tuple[bytes, bytes]]


class KubeletProtocol(H11Protocol):
    """HTTP over a connection whose client may have shown a certificate, until it switches.

    uvicorn has no way to switch to a protocol that it does not know, so the application is given
    one: by `upgrade` of its scope it takes the connection over, and closes it.
    """

    def __init__(
        self, config: uvicorn.Config, state: ServerState, limits: Limits, places: Places
    ) -> None:
        super().__init__(config, state, {})
        self._limits = limits
        self._places = places
        self._place: str | None = None
        self._duplex: Duplex | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_bytes = 0
        self._over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Look at the certificate once; every request of the connection is told."""
        super().connection_made(transport)
        if not self._placed():
            return
        transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self.app_state = {
            **self.app_state,
            "peer": _verified(transport.get_extra_info("ssl_object")),
            "drained": self.flow.drain,
            "upgrade": self.upgrade,
        }
        # uvicorn lets who never asks anything stay for ever.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def upgrade(self, headers: Headers) -> Duplex:
        """Answer 101 and hand the connection over."""
        if self.transport.is_closing():
            raise ClientGoneError("the client has gone")
        switching = HTTPStatus.SWITCHING_PROTOCOLS
        answer = h11.InformationalResponse(
            status_code=switching, headers=list(headers), reason=switching.phrase.encode()
        )
        head = self.conn.send(answer)
        assert head is not None
        self.transport.write(head)
        # Whoever takes the connection over closes it; uvicorn would miss the end of an answer.
        self.cycle.response_started = self.cycle.disconnected = True
        early, _closed = self.conn.trailing_data
        self._duplex = Duplex(self.transport, self.flow.drain, early, self._limits.stream_idle_s)
        self.flow.resume_reading()
        return self._duplex

    def data_received(self, data: bytes) -> None:
        """Bytes are for whoever has taken the connection over."""
        if self._duplex is not None:
            self._duplex.feed(data)
        elif not self._over:
            super().data_received(data)
            self._watch_body(len(data))
            self._watch_head()

    def on_response_complete(self) -> None:
        """Go on with the next request, unless much of this one is still to come."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._linger()
        elif self.conn.trailing_data[0]:
            self._watch_head()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the words are Go's
        """Refuse what is no request, or too large for one."""
        error = sys.exception()
        status = HTTPStatus.BAD_REQUEST
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == _TOO_LARGE:
            status = _TOO_LARGE
            CONNECTIONS_REFUSED.labels("large_header").inc()
        if self.conn.our_state is not h11.IDLE:  # an answer has begun: there is no place for one
            self.transport.abort()
            return
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        reason = status.phrase.encode()
        body = f"{status.value} {status.phrase}".encode()
        events = (
            h11.Response(status_code=status, headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self._linger()

    def eof_received(self) -> None:
        """Half a TLS connection is none."""
        if self._duplex is not None:
            self._duplex.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever reads or writes know."""
        self._head_is_there()
        if self._place is not None:
            self._places.leave(self._place)
        if self._duplex is not None:
            self._duplex.end()
        super().connection_lost(exc)

    def _placed(self) -> bool:
        peer = self.client[0] if self.client else ""
        reason = self._places.refusal(peer)
        if reason is not None:
            CONNECTIONS_REFUSED.labels(reason).inc()
            self._over = True
            self.transport.abort()
            return False
        self._places.take(peer)
        self._place = peer
        return True

    def _watch_head(self) -> None:
        """Bound the time between the first byte of a request's head and its last."""
        if self.conn.their_state is not h11.IDLE:
            self._head_is_there()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.header_s, self._head_is_late)

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        CONNECTIONS_REFUSED.labels("slow_header").inc()
        self.transport.abort()

    def _watch_body(self, received: int) -> None:
        """No path has a use for a body: one that does not end is an attack."""
        self._body_bytes += received
        if self.conn.their_state is not h11.SEND_BODY:
            self._body_bytes = 0
        elif self._body_bytes > self._limits.body_bytes:
            CONNECTIONS_REFUSED.labels("large_body").inc()
            self.transport.abort()

    def _linger(self) -> None:
        """Close, once the client has had time to read our answer."""
        self._over = True
        self.flow.resume_reading()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _unsupported_upgrade_warning(self) -> None:
        """Every exec is one: nothing to warn of."""


def _verified(connection: ssl.SSLObject | None) -> PeerCertificate | None:
    if connection is None or connection.session_reused:
        # OpenSSL keeps TLS 1.2 sessions whatever it is told; a resumed one was verified long ago.
        return None
    decoded: dict[str, Any] | None = connection.getpeercert()
    if not decoded:
        return None
    return peer_certificate(decoded, float(ssl.cert_time_to_seconds(decoded["notAfter"])))
