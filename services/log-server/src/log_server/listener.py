"""One TLS listener: the kubelet port of one Node, served by uvicorn.

The port is opened before anything is announced.
"""

import asyncio
import socket
from typing import Final

import uvicorn
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from log_server.errors import ListenError
from log_server.guard import Application, Receive, Scope, Send
from log_server.protocol import KubeletProtocol, Limits, Places
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


class _LimitedServer(QuietServer):
    """uvicorn's server with our protocol, whose handshakes end in time."""

    def __init__(self, config: uvicorn.Config, limits: Limits) -> None:
        super().__init__(config)
        self._limits = limits
        self._places = Places(limits)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections on the sockets."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol,
                sock=each,
                ssl=self.config.ssl,
                backlog=_BACKLOG,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=self._limits.handshake_s,
            )
            for each in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> KubeletProtocol:
        return KubeletProtocol(self.config, self.server_state, self._limits, self._places)


class Listener:
    """An open port with its application."""

    def __init__(
        self, application: Application, tls: ListenerTls, host: str, port: int, limits: Limits
    ) -> None:
        self.tls = tls
        self._application = application
        self._socket = opened(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._serve_request,
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            ssl_context_factory=lambda _config, _default: tls.context,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=limits.idle_s,  # type: ignore[arg-type]  # used as a float
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=limits.header_bytes,
            backlog=_BACKLOG,
        )
        self._server = _LimitedServer(config, limits)

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["certificate"] = self.tls.certificate
        await self._application(scope, receive, send)

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
            self._socket.close()

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


def opened(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ListenError(f"cannot listen on {host} port {port}: {error}") from error
    for level, name, value in _KEEPALIVE:
        opened.setsockopt(level, name, value)
    opened.setblocking(False)
    return opened
