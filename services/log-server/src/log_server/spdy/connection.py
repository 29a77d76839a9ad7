"""The streams of one SPDY connection, over whatever carries its bytes.

The client opens them, the server takes them. Kubernetes' clients neither send nor heed windows, so
ours are given to those that wait for them, and theirs are not waited for: what holds a sender is
the connection. A stream whose reader does not keep up holds the connection, as a kubelet's does.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from log_server.errors import ProtocolError
from log_server.spdy.frames import (
    Data,
    Frame,
    FrameError,
    FrameReader,
    FrameWriter,
    GoAway,
    Ping,
    Reset,
    ResetStatus,
    SynStream,
)

MAX_STREAMS: Final = 2048
BUFFER_BYTES: Final = 256 * 1024
PIECE_BYTES: Final = 64 * 1024
WINDOW_STEP: Final = 16 * 1024


class Carrier(Protocol):
    """What the bytes go over."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


class SpdyStream:
    """One stream that the client has opened."""

    def __init__(self, connection: "SpdyConnection", number: int, headers: dict[str, str]) -> None:
        self.number = number
        self.headers = headers
        self.reset_by_client = asyncio.Event()
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self) -> bytes | None:
        """Return the next piece, None when the client has ended his side."""
        while not self._pieces:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        self._room.set()
        await self._connection.taken(self.number, len(piece))
        return piece

    async def write(self, data: bytes) -> None:
        """Send; returns when the connection has room for more."""
        for start in range(0, len(data), PIECE_BYTES):
            if self._closed:
                return
            await self._connection.send_data(self.number, data[start : start + PIECE_BYTES])

    async def close(self) -> None:
        """Send nothing more; the other way stays open."""
        if not self._closed:
            self._closed = True
            await self._connection.send_data(self.number, b"", fin=True)

    async def reset(self) -> None:
        """End both ways at once."""
        if not self._closed or not self._ended:
            self._closed = self._ended = True
            await self._connection.send_reset(self.number)

    # For the connection

    async def feed(self, data: bytes) -> None:
        """Take a piece; waits while the reader has too many."""
        if self._ended or not data:
            return
        self._pieces.append(data)
        self._size += len(data)
        self._news.set()
        while self._size > BUFFER_BYTES and not self._ended:
            self._room.clear()
            await self._room.wait()

    def end(self, *, reset: bool = False) -> None:
        """The client sends nothing more; reset, he wants nothing more either."""
        self._ended = True
        if reset:
            self._closed = True
            self.reset_by_client.set()
        self._news.set()
        self._room.set()


class SpdyConnection:
    """The server's side. `on_stream` hears of each stream, and must not block."""

    def __init__(self, carrier: Carrier, on_stream: Callable[[SpdyStream], None]) -> None:
        self._carrier = carrier
        self._on_stream = on_stream
        self._reader = FrameReader()
        self._writer = FrameWriter()
        self._streams: dict[int, SpdyStream] = {}
        self._highest = 0
        self._untold = 0

    async def listen(self) -> None:
        """Serve what arrives until the client leaves; raises `ProtocolError`."""
        try:
            while data := await self._carrier.read():
                for frame in self._reader.feed(data):
                    if isinstance(frame, GoAway):
                        return
                    await self._take(frame)
        except FrameError as error:
            raise ProtocolError(str(error)) from error
        finally:
            for stream in self._streams.values():
                stream.end(reset=True)

    async def leave(self) -> None:
        """Say that nothing follows."""
        await self._carrier.write(self._writer.go_away(self._highest))

    def forget(self, stream: SpdyStream) -> None:
        """Drop a stream; what still comes for it is thrown away."""
        self._streams.pop(stream.number, None)

    async def send_data(self, number: int, data: bytes, *, fin: bool = False) -> None:
        """Send a data frame."""
        await self._carrier.write(self._writer.data(number, data, fin=fin))

    async def send_reset(self, number: int) -> None:
        """Send a reset."""
        await self._carrier.write(self._writer.reset(number, ResetStatus.CANCEL))

    async def taken(self, number: int, size: int) -> None:
        """Give room for as much as was taken, in steps."""
        self._untold += size
        if self._untold >= WINDOW_STEP:
            update = self._writer.window_update
            delta, self._untold = self._untold, 0
            await self._carrier.write(update(number, delta) + update(0, delta))

    async def _take(self, frame: Frame) -> None:
        match frame:
            case SynStream():
                await self._opened(frame)
            case Data():
                await self._arrived(frame)
            case Reset():
                if stream := self._streams.pop(frame.stream, None):
                    stream.end(reset=True)
            case Ping() if frame.number % 2:  # the odd ones are the client's
                await self._carrier.write(self._writer.ping(frame.number))
            case _:
                pass  # windows and settings: see above

    async def _opened(self, frame: SynStream) -> None:
        if frame.stream <= self._highest or not frame.stream % 2:
            raise ProtocolError(f"stream {frame.stream} after stream {self._highest}")
        self._highest = frame.stream
        if len(self._streams) >= MAX_STREAMS:
            refused = self._writer.reset(frame.stream, ResetStatus.REFUSED_STREAM)
            await self._carrier.write(refused)
            return
        stream = SpdyStream(self, frame.stream, frame.headers)
        self._streams[frame.stream] = stream
        await self._carrier.write(self._writer.syn_reply(frame.stream))
        if frame.fin:
            stream.end()
        self._on_stream(stream)

    async def _arrived(self, frame: Data) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        await stream.feed(frame.data)
        if frame.fin:
            stream.end()
