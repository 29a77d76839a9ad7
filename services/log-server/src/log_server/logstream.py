"""The body of a `/containerLogs` answer: pulled from the executor as fast as the reader takes it.

The next chunk is asked for when the last one has left our buffers, so a reader that stalls costs
one chunk of memory, however much its container writes; one that has taken much at once gets larger
chunks, and the next one on its way while one is sent. The stream ends when the log does, when the
limit is reached, when the reader has gone, or when the executor stays away too long.
"""

import asyncio
from typing import Final

import structlog

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.log import LogChunk
from log_server.bus import LogReading, Peers
from log_server.domain.crilines import Rendering
from log_server.domain.logoptions import LogOptions
from log_server.domain.pacing import Pace
from log_server.errors import PeerAwayError
from log_server.guard import Receive, Scope, Send
from log_server.openstreams import OpenStreams

log = structlog.get_logger()

_OPEN: Final = OpenStreams()
_HEADERS: Final[list[tuple[bytes, bytes]]] = []
"""The kubelet sets none; without a length the body is chunked."""
_TURNS_TO_ASK: Final = 2
"""Of the event loop, until a request is on its way: one for its task, one for the bus's own."""


class LogStream:
    """One reader of one log, as an ASGI answer."""

    def __init__(self, peers: Peers, node: NodeName, cursor: str, options: LogOptions) -> None:
        self._peers = peers
        self._node = node
        self._cursor = cursor
        self._rendering = Rendering(options)
        self._follow = options.follow
        self._pace = Pace(peers.chunk_bytes)
        self._sent = 0
        self._ahead: asyncio.Task[LogChunk | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the log; return when it has ended or nobody reads on."""
        with _OPEN.counted():
            # Headers go out at once: a client that follows a silent container must know it does.
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(scope, send, tasks), name="log-pump")
                watch = tasks.create_task(_cancel_when_gone(receive, pump), name="log-watch")
                pump.add_done_callback(lambda _: watch.cancel())

    async def _pump(self, scope: Scope, send: Send, tasks: asyncio.TaskGroup) -> None:
        drained, clock = scope["state"]["drained"], asyncio.get_running_loop().time
        try:
            while not self._rendering.done:
                since = clock()
                await drained()
                self._pace.took(self._sent, clock() - since)
                # Nothing of a chunk may stay in this frame: a reader may let it wait for long.
                if not await self._pass_on(send, tasks):
                    break
        finally:
            if self._ahead is not None:
                self._ahead.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, send: Send, tasks: asyncio.TaskGroup) -> bool:
        """Send what the next chunk shows; say whether there may be another."""
        chunk = await (self._ahead or self._next())
        self._ahead = None
        if chunk is None:
            return False
        more = not chunk.end and bool(chunk.data or self._follow)
        if more and chunk.data and self._pace.is_trusted:
            self._ahead = tasks.create_task(self._next(), name="log-ahead")
            for _ in range(_TURNS_TO_ASK):
                await asyncio.sleep(0)
        body = self._shown(chunk)
        self._sent = len(body)
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        return more

    def _reading(self) -> LogReading:
        return LogReading(
            cursor=self._cursor,
            follow=self._follow,
            plain=self._rendering.plain,
            max_bytes=self._pace.chunk_bytes,
        )

    def _shown(self, chunk: LogChunk) -> bytes:
        if chunk.plain:
            return self._rendering.feed_plain(chunk.data)
        return self._rendering.feed(chunk.data)

    async def _next(self) -> LogChunk | None:
        """Return the next chunk, None when there will be none."""
        try:
            chunk = await self._peers.read_log(self._node, self._reading())
        except (PeerAwayError, ContractError) as error:
            log.warning("log_stream.broken", node=self._node, reason=str(error))
            return None
        self._cursor = chunk.cursor
        return chunk


async def _cancel_when_gone(receive: Receive, pump: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    pump.cancel()
