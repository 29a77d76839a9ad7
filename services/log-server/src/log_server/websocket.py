"""A WebSocket over a connection that has switched: whole messages in, whole messages out.

The frames are wsproto's. A message that is larger than any client of the kubelet sends, or that is
no WebSocket at all, ends the connection.
"""

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, NegotiationError, ProtocolError

MAX_MESSAGE_BYTES: Final = 1024 * 1024
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"13"

type Headers = dict[bytes, bytes]


def is_websocket(headers: Headers) -> bool:
    """Say whether a client wants to switch to WebSocket."""
    return headers.get(b"upgrade", b"").lower() == b"websocket"


def offered_protocols(headers: Headers) -> list[str]:
    """Return the subprotocols that a client offers, his preferred one first."""
    offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
    return [name.strip() for name in offered if name.strip()]


def accepting(headers: Headers, protocol: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that accept a WebSocket."""
    key = headers.get(b"sec-websocket-key", b"")
    if not key or headers.get(b"sec-websocket-version") != _VERSION:
        raise NegotiationError(400, "not a WebSocket handshake of version 13")
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    accepted = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", base64.b64encode(digest)),
    ]
    if protocol:
        accepted.append((b"Sec-WebSocket-Protocol", protocol.encode()))
    return accepted


class WebSocket:
    """The server's side."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._frames = Connection(ConnectionType.SERVER)
        self._parts: list[bytes] = []
        self._size = 0

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield each message until the client closes; raises `ProtocolError`."""
        while data := await self._duplex.read():
            try:
                self._frames.receive_data(data)
                for event in self._frames.events():
                    if isinstance(event, CloseConnection):
                        await self._send(event.response())
                        return
                    message = await self._met(event)
                    if message is not None:
                        yield message
            except RemoteProtocolError as error:
                raise ProtocolError(str(error)) from error

    async def send(self, message: bytes, *, text: bool = False) -> None:
        """Send one message; raises `ClientGoneError`."""
        if text:
            await self._send(TextMessage(data=message.decode("ascii")))
        else:
            await self._send(BytesMessage(data=message))

    async def close(self) -> None:
        """Say goodbye."""
        with suppress(ClientGoneError):
            await self._send(CloseConnection(code=CloseReason.NORMAL_CLOSURE))

    async def _met(self, event: Event) -> bytes | None:
        if isinstance(event, Ping):
            await self._send(event.response())
        if not isinstance(event, Message):
            return None
        part = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_MESSAGE_BYTES:
            raise ProtocolError("a message of more than 1 MiB")
        if not event.message_finished:
            return None
        message = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return message

    async def _send(self, event: Event) -> None:
        try:
            data = self._frames.send(event)
        except LocalProtocolError as error:  # it is closing already
            raise ClientGoneError(str(error)) from error
        await self._duplex.write(data)
