"""The bytes of a connection whose client has switched from HTTP to another protocol.

Reading pauses the client when its bytes are not taken; writing waits until the client has taken
most of what was written before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from log_server.errors import ClientGoneError

_LIMIT: Final = 64 * 1024


class Duplex:
    """Both directions, from the switch on."""

    def __init__(
        self, transport: asyncio.Transport, drained: Callable[[], Awaitable[None]], first: bytes
    ) -> None:
        self._transport = transport
        self._drained = drained
        self._reader = asyncio.StreamReader(limit=_LIMIT)
        self._reader.set_transport(transport)
        self._lost = asyncio.Event()
        if first:
            self._reader.feed_data(first)

    # For the protocol beneath

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if not self._lost.is_set():
            self._reader.feed_data(data)

    def end(self) -> None:
        """Nothing arrives any more, and nobody reads."""
        if not self._lost.is_set():
            self._reader.feed_eof()
            self._lost.set()

    # For who speaks the protocol above

    async def read(self) -> bytes:
        """Return what has arrived, b"" at the end."""
        return await self._reader.read(_LIMIT)

    async def write(self, data: bytes) -> None:
        """Send bytes and wait for room; raises `ClientGoneError`."""
        if self._lost.is_set():
            raise ClientGoneError("the client has gone")
        self._transport.write(data)
        await self._drained()

    async def lost(self) -> None:
        """Return when the connection is gone."""
        await self._lost.wait()

    def close(self) -> None:
        """Close it once what was written is sent."""
        self._transport.close()
