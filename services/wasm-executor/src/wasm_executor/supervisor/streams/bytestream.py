"""One byte stream of a client: its far ends, its chunks by number, and how long it is missed.

It lives as long as somebody reads or writes it. Where nobody does for the lease, whoever opened it
is gone: then it closes, and what it belongs to ends with it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from contract.errors import CommandError
from contract.messages.stream import (
    MAX_STREAM_CHUNK_BYTES,
    StreamChunk,
    StreamEnd,
    StreamRead,
    StreamTaken,
    StreamWrite,
)
from wasm_executor.supervisor.streams.piping import Sources

MAX_WAIT_S: Final = 20.0
WRITE_WAIT_S: Final = 2.0
"""How long a write waits for room before its writer is told to ask again."""
CLOSED: Final = StreamEnd(failure="the stream has been closed")
NOTHING_WRITTEN: Final = StreamTaken(offset=0, closed=True)


class Inlet(Protocol):
    """Where what is written goes."""

    offset: int

    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    async def take(self, offset: int, data: bytes, wait_s: float, *, end: bool) -> None: ...


class ByteStream:
    """Made open; `close` ends it at any time."""

    def __init__(
        self,
        sources: Sources,
        sink: Inlet | None,
        end: asyncio.Future[StreamEnd],
        *,
        lease_s: float,
        on_close: Callable[[], None],
    ) -> None:
        self._sources = sources
        self._sink = sink
        self._end = end
        self._lease_s = lease_s
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._said = -1
        self._last = StreamChunk()
        self._closed = False
        self._lease = self._loop.call_later(lease_s, self.close)

    def close(self) -> None:
        """Let go of everything."""
        if self._closed:
            return
        self._closed = True
        self._lease.cancel()
        self._sources.close()
        if self._sink is not None:
            self._sink.close()
        self._on_close()

    async def read(self, command: StreamRead) -> StreamChunk:
        """Return the chunk of this number, the last one again or the next."""
        self._touch()
        async with self._turn:
            if command.number == self._said:
                return self._last
            if command.number != self._said + 1:
                raise CommandError(400, f"chunk {command.number} is not there")
            self._last = await self._next(command)
            self._said = command.number
            self._touch()
            return self._last

    async def write(self, command: StreamWrite) -> StreamTaken:
        """Take what is new of it; empty writes only keep the stream alive."""
        self._touch()
        sink = self._sink
        if sink is None:
            return NOTHING_WRITTEN
        if command.data or command.end:
            await self._take(sink, command)
        return StreamTaken(offset=sink.offset, closed=sink.closed)

    async def _take(self, sink: Inlet, command: StreamWrite) -> None:
        await sink.take(command.offset, command.data, WRITE_WAIT_S, end=command.end)

    async def _next(self, command: StreamRead) -> StreamChunk:
        size = max(1, min(command.max_bytes, MAX_STREAM_CHUNK_BYTES))
        wait_s = min(command.wait_s, MAX_WAIT_S)
        taken = await self._sources.read(size, wait_s)
        if taken.out or taken.err or not self._sources.over:
            return StreamChunk(out=taken.out, err=taken.err)
        await asyncio.wait((self._end,), timeout=wait_s)
        return StreamChunk(end=self._ended())

    def _ended(self) -> StreamEnd | None:
        if self._end.cancelled():
            return CLOSED
        return self._end.result() if self._end.done() else None

    def _touch(self) -> None:
        if not self._closed:
            self._lease.cancel()
            self._lease = self._loop.call_later(self._lease_s, self.close)
