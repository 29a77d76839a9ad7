"""The body of a `/containerLogs` answer: pulled from the executor as fast as the reader takes it.

The next chunk is asked for when the last one has left our buffers, so a reader that stalls costs
one chunk of memory, however much its container writes. The stream ends when the log does, when the
limit is reached, when the reader has gone, or when the executor stays away too long.
"""

import asyncio
from typing import Final

import structlog

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.log import LogChunk
from log_server.bus import Peers
from log_server.domain.crilines import Rendering
from log_server.domain.logoptions import LogOptions
from log_server.errors import PeerAwayError
from log_server.guard import Receive, Scope, Send
from log_server.openstreams import OpenStreams

log = structlog.get_logger()

_OPEN: Final = OpenStreams()
_HEADERS: Final[list[tuple[bytes, bytes]]] = []
"""The kubelet sets none; without a length the body is chunked."""


class LogStream:
    """One reader of one log, as an ASGI answer."""

    def __init__(self, peers: Peers, node: NodeName, cursor: str, options: LogOptions) -> None:
        self._peers = peers
        self._node = node
        self._cursor = cursor
        self._rendering = Rendering(options)
        self._follow = options.follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the log; return when it has ended or nobody reads on."""
        with _OPEN.counted():
            # Headers go out at once: a client that follows a silent container must know it does.
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(self._pump(scope, send), name="log-pump")
                watch = tasks.create_task(_cancel_when_gone(receive, pump), name="log-watch")
                pump.add_done_callback(lambda _: watch.cancel())

    async def _pump(self, scope: Scope, send: Send) -> None:
        drained = scope["state"]["drained"]
        while not self._rendering.done:
            await drained()
            # Nothing of a chunk may stay in this frame: it waits here for as long as a reader may.
            if not await self._pass_on(send):
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pass_on(self, send: Send) -> bool:
        """Send what the next chunk shows; say whether there may be another."""
        chunk = await self._next()
        if chunk is None:
            return False
        body = self._rendering.feed(chunk.data)
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        return not chunk.end and bool(chunk.data or self._follow)

    async def _next(self) -> LogChunk | None:
        """Return the next chunk, None when there will be none."""
        try:
            chunk = await self._peers.read_log(self._node, self._cursor, follow=self._follow)
        except (PeerAwayError, ContractError) as error:
            log.warning("log_stream.broken", node=self._node, reason=str(error))
            return None
        self._cursor = chunk.cursor
        return chunk


async def _cancel_when_gone(receive: Receive, pump: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    pump.cancel()
