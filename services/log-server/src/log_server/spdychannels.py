"""The channels of a remote command as the streams of a SPDY connection.

The client opens one stream for each channel and says in its headers which it is. Nothing is sent
before all are there.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from contract.messages.stream import StreamEnd
from log_server.domain.remotecommand import Channel, CommandOptions, end_status, end_text
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, NegotiationError, ProtocolError
from log_server.spdy.connection import SpdyConnection, SpdyStream

UPGRADE: Final = b"SPDY/3.1"
VERSION_HEADER: Final = b"x-stream-protocol-version"
STREAMS_WITHIN_S: Final = 30.0
CLOSES_WITHIN_S: Final = 2.0
"""A client closes when he has read everything; then nothing can be lost."""
_TYPES: Final = {
    "stdin": Channel.STDIN,
    "stdout": Channel.STDOUT,
    "stderr": Channel.STDERR,
    "error": Channel.ERROR,
    "resize": Channel.RESIZE,
}


class SpdyProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """What a version's name means."""

    name: str
    resizes: bool = False
    status: bool = False


VERSIONS: Final = {
    each.name: each
    for each in (
        SpdyProtocol(name="v4.channel.k8s.io", resizes=True, status=True),
        SpdyProtocol(name="v3.channel.k8s.io", resizes=True),
        SpdyProtocol(name="v2.channel.k8s.io"),
        SpdyProtocol(name="channel.k8s.io"),
    )
}


def is_spdy(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a client wants to switch to SPDY."""
    return any(n == b"upgrade" and v.upper() == UPGRADE for n, v in headers)


def offered_versions(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return the protocol versions that a client offers."""
    lines = [value.decode("latin-1") for name, value in headers if name == VERSION_HEADER]
    return [each.strip() for line in lines for each in line.split(",") if each.strip()]


def chosen_version(offered: Sequence[str], known: Sequence[str]) -> str:
    """Return the first version that we speak; none offered is the oldest of ours."""
    for name in offered or known[-1:]:
        if name in known:
            return name
    text = (
        "unable to upgrade: unable to negotiate protocol: "
        f"client supports [{' '.join(offered)}], server accepts [{' '.join(known)}]"
    )
    raise NegotiationError(403, text)


def accepting_spdy(version: str) -> list[tuple[bytes, bytes]]:
    """Return the headers that accept it."""
    return [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", UPGRADE),
        (b"X-Stream-Protocol-Version", version.encode()),
    ]


class SpdyChannels:
    """One client of a remote command."""

    def __init__(self, duplex: Duplex, protocol: SpdyProtocol, options: CommandOptions) -> None:
        self._duplex = duplex
        self._protocol = protocol
        self._options = options
        self._connection = SpdyConnection(duplex, self._hear)
        self._streams: dict[Channel, SpdyStream] = {}
        self._complete = asyncio.Event()
        wanted = {
            Channel.ERROR: True,
            Channel.STDIN: options.stdin,
            Channel.STDOUT: options.stdout,
            Channel.STDERR: options.stderr,
            Channel.RESIZE: options.tty and protocol.resizes,
        }
        self._awaited = {channel for channel, wants in wanted.items() if wants}

    async def begin(self) -> None:
        """Wait until the client has opened all that he wants."""
        try:
            async with asyncio.timeout(STREAMS_WITHIN_S):
                await self._complete.wait()
        except TimeoutError:
            raise ProtocolError("timed out waiting for client to create streams") from None

    async def listen(self) -> None:
        """Serve the connection until the client leaves; raises `ProtocolError`."""
        await self._connection.listen()

    async def stdin(self) -> bytes | None:
        """Return what comes next, None at the end of input."""
        await self._complete.wait()
        stream = self._streams.get(Channel.STDIN)
        if stream is None:
            await asyncio.Event().wait()  # there is no input, and so no end of it
            return None
        piece = await stream.read()
        if piece is None:
            del self._streams[Channel.STDIN]
        return piece

    async def send(self, channel: Channel, data: bytes) -> None:
        """Send output; returns when there is room for more."""
        if stream := self._streams.get(channel):
            await stream.write(data)

    async def finish(self, end: StreamEnd) -> None:
        """Tell how it ended, and let the client close."""
        command = self._options.command
        text = end_text(end, command).encode()
        told = end_status(end, command) if self._protocol.status else text
        await self.send(Channel.ERROR, told)
        for stream in list(self._streams.values()):
            await stream.close()
        with suppress(TimeoutError, ClientGoneError):
            async with asyncio.timeout(CLOSES_WITHIN_S):
                await self._duplex.lost()

    def _hear(self, stream: SpdyStream) -> None:
        channel = _TYPES.get(stream.headers.get("streamtype", ""))
        if channel is not None:
            self._streams[channel] = stream
        if self._awaited <= self._streams.keys():
            self._complete.set()
