"""One TLS listener: the kubelet port of one Node, served by uvicorn.

The port is opened before anything is announced. What a connection's certificate says reaches the
application in its scope, as does a way to wait until the connection's buffers have emptied.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from log_server.domain.identity import PeerCertificate, peer_certificate
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, ListenError
from log_server.guard import Application
from log_server.tls import ListenerTls
from servicekit.admin import QuietServer

_BACKLOG: Final = 1024
_BUFFER_BYTES: Final = 16 * 1024
"""Above this much unsent, the next chunk waits. uvloop's own is half a megabyte per connection."""
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""Ends followers whose machine is gone without a word; set on the port, connections inherit it."""


type Headers = Iterable[tuple[bytes, bytes]]


class KubeletProtocol(H11Protocol):
    """HTTP over a connection whose client may have shown a certificate, until it switches.

    uvicorn has no way to switch to a protocol that it does not know, so the application is given
    one: by `upgrade` of its scope it takes the connection over, and its answer is over with it.
    """

    _duplex: Duplex | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Look at the certificate once; every request of the connection is told."""
        super().connection_made(transport)
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
        self.cycle.response_started = True  # the application's return closes the connection
        early, _closed = self.conn.trailing_data
        self._duplex = Duplex(self.transport, self.flow.drain, early)
        self.flow.resume_reading()
        return self._duplex

    def data_received(self, data: bytes) -> None:
        """Bytes are for whoever has taken the connection over."""
        if self._duplex is None:
            super().data_received(data)
        else:
            self._duplex.feed(data)

    def eof_received(self) -> None:
        """Half a TLS connection is none."""
        if self._duplex is not None:
            self._duplex.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever reads or writes know."""
        if self._duplex is not None:
            self._duplex.end()
        super().connection_lost(exc)

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


class Listener:
    """An open port with its application."""

    def __init__(
        self, application: Application, tls: ListenerTls, host: str, port: int, idle_s: float
    ) -> None:
        self.tls = tls
        self._socket = _opened(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            application,
            http=KubeletProtocol,
            ws="none",
            lifespan="off",
            ssl_context_factory=lambda _config, _default: tls.context,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=idle_s,  # type: ignore[arg-type]  # used as a float
            timeout_graceful_shutdown=1,
            backlog=_BACKLOG,
        )
        self._server = QuietServer(config)

    @property
    def serving(self) -> bool:
        """Whether connections are taken."""
        return self._server.started

    async def serve(self) -> None:
        """Serve until cancelled; then break off what is still open."""
        sockets = [self._socket]
        try:
            await self._server.serve(sockets=sockets)
        finally:
            for connection in self._connections():
                connection.transport.abort()
            if self._server.started:
                await self._server.shutdown(sockets=sockets)

    def retire_connections(self) -> None:
        """Close idle connections, and the others after their present answer.

        What a connection's certificate proved, it proved by the client CA of that time.
        """
        for connection in self._connections():
            cycle: RequestResponseCycle | None = connection.cycle  # None until a first request
            if cycle is None or cycle.response_complete:
                connection.transport.close()
            else:
                cycle.keep_alive = False

    def _connections(self) -> list[KubeletProtocol]:
        return [c for c in self._server.server_state.connections if isinstance(c, KubeletProtocol)]


def _opened(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from error
    for level, name, value in _KEEPALIVE:
        opened.setsockopt(level, name, value)
    opened.setblocking(False)
    return opened
