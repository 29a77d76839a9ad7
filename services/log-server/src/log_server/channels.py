"""The channels of a remote command in the messages of a WebSocket.

The first byte of a message is its channel; in the base64 protocols it is a digit, and the rest is
encoded. From v5 on a message may close a channel, which is how stdin ends.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from contract.messages.stream import StreamEnd
from log_server.domain.remotecommand import Channel, CommandOptions, end_status, end_text
from log_server.duplex import Duplex
from log_server.errors import NegotiationError, ProtocolError
from log_server.websocket import WebSocket

QUEUED: Final = 8
"""Messages that may wait for a process that does not read: then the client waits."""
_CLOSE_SIGNAL: Final = 255
_DIGIT_ZERO: Final = ord("0")


class WebSocketProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What a subprotocol's name means."""

    name: str
    base64: bool = False
    status: bool = False
    """The end is told as a v1.Status, not as text."""
    closes: bool = False


PROTOCOLS: Final = {
    each.name: each
    for each in (
        WebSocketProtocol(name=""),
        WebSocketProtocol(name="channel.k8s.io"),
        WebSocketProtocol(name="base64.channel.k8s.io", base64=True),
        WebSocketProtocol(name="v4.channel.k8s.io", status=True),
        WebSocketProtocol(name="v4.base64.channel.k8s.io", base64=True, status=True),
        WebSocketProtocol(name="v5.channel.k8s.io", status=True, closes=True),
    )
}


def chosen_protocol(offered: Sequence[str]) -> WebSocketProtocol:
    """Return the first protocol that we speak; none offered is the oldest."""
    for name in offered or ("",):
        if name in PROTOCOLS:
            return PROTOCOLS[name]
    raise NegotiationError(400, f"no protocol of {list(offered)} is spoken here")


class WebSocketChannels:
    """One client of a remote command."""

    def __init__(
        self, duplex: Duplex, protocol: WebSocketProtocol, options: CommandOptions
    ) -> None:
        self._socket = WebSocket(duplex)
        self._protocol = protocol
        self._options = options
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED)

    async def begin(self) -> None:
        """Send an empty message, by which clients see that the connection stands."""
        channel = Channel.ERROR
        if self._options.stdout:
            channel = Channel.STDOUT
        elif self._options.stderr:
            channel = Channel.STDERR
        await self._message(channel, b"")

    async def listen(self) -> None:
        """Read until the client closes; raises `ProtocolError`."""
        async for message in self._socket.messages():
            if message:
                await self._take(message[0], message[1:])

    async def stdin(self) -> bytes | None:
        """Return what comes next, None at the end of input."""
        return await self._input.get()

    async def send(self, channel: Channel, data: bytes) -> None:
        """Send output; returns when there is room for more."""
        await self._message(channel, data)

    async def finish(self, end: StreamEnd) -> None:
        """Tell how it ended, and close."""
        command = self._options.command
        if self._protocol.status:
            await self._message(Channel.ERROR, end_status(end, command))
        elif text := end_text(end, command):
            await self._message(Channel.ERROR, text.encode())
        await self._socket.close()

    async def _take(self, first: int, rest: bytes) -> None:
        if self._protocol.closes and first == _CLOSE_SIGNAL:
            if rest[:1] == bytes([Channel.STDIN]):
                await self._input.put(None)
            return
        channel = first - _DIGIT_ZERO if self._protocol.base64 else first
        if channel == Channel.STDIN and self._options.stdin:
            data = self._decoded(rest)
            if data:
                await self._input.put(data)

    def _decoded(self, data: bytes) -> bytes:
        if not self._protocol.base64:
            return data
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ProtocolError(f"not base64: {error}") from error

    async def _message(self, channel: Channel, data: bytes) -> None:
        if self._protocol.base64:
            head = str(channel.value).encode()
            await self._socket.send(head + base64.b64encode(data), text=True)
        else:
            await self._socket.send(bytes([channel]) + data)
