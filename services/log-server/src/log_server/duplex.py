"""The bytes of a connection whose client has switched from HTTP to another protocol.

Reading pauses the client when its bytes are not taken; writing waits until the client has taken
most of what was written before. Where nothing has come from either side for long, it ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from log_server.errors import ClientGoneError

log = structlog.get_logger()

_LIMIT: Final = 64 * 1024


class Duplex:
    """Both directions, from the switch on."""

    def __init__(
        self,
        transport: asyncio.Transport,
        drained: Callable[[], Awaitable[None]],
        first: bytes,
        idle_s: float,
    ) -> None:
        self._transport = transport
        self._drained = drained
        self._reader = asyncio.StreamReader(limit=_LIMIT)
        self._reader.set_transport(transport)
        self._lost = asyncio.Event()
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()
        self._timer = self._loop.call_later(idle_s, self._look)
        if first:
            self._reader.feed_data(first)

    # For the protocol beneath

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._active_at = self._loop.time()
        if not self._lost.is_set():
            self._reader.feed_data(data)

    def end(self) -> None:
        """Nothing arrives any more, and nobody reads."""
        self._timer.cancel()
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
        self._active_at = self._loop.time()
        self._transport.write(data)
        await self._drained()

    async def lost(self) -> None:
        """Return when the connection is gone."""
        await self._lost.wait()

    def close(self) -> None:
        """Close it once what was written is sent."""
        self._timer.cancel()
        self._transport.close()

    def _look(self) -> None:
        """One timer that is seldom set, since bytes come often."""
        idle_until = self._active_at + self._idle_s
        if self._loop.time() < idle_until:
            self._timer = self._loop.call_at(idle_until, self._look)
            return
        log.info("stream.idle", idle_s=self._idle_s)
        self._transport.abort()
        self.end()
