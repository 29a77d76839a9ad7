"""A peer for tests that speaks HTTP and says exactly the bytes it was given.

Half lines, error pages, empty answers, connections cut in the middle: no real API server produces
them on demand, yet each has been seen from one. It is a server on a socket, not a stand-in for our
client; what a healthy API server does is tested against a real one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from kubekit.testing.replies import End, Reply

WITHIN_S = 10.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came."""

    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float
    has_client_certificate: bool = False


class RecordedServer:
    """Answers each kind of request with its next recorded reply.

    Kinds: `list` and `watch` for GETs of `collection`, `get` for other GETs, else the method's
    name. Without a reply a watch is held open and anything else is a 503.
    """

    def __init__(self, collection: str = "/api/v1/pods") -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._collection = collection
        self._replies: dict[str, list[Reply]] = {}
        self._closing = asyncio.Event()

    def will(self, kind: str, *replies: Reply) -> None:
        """Queue replies for a kind of request."""
        self._replies.setdefault(kind, []).extend(replies)

    def of(self, kind: str) -> list[Asked]:
        """The requests of a kind so far."""
        return [asked for asked in self.asked if asked.kind == kind]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle one request."""
        kind = self._kind(request)
        transport = request.transport
        peer = transport.get_extra_info("peercert") if transport else None
        self.asked.append(
            Asked(
                kind=kind,
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                body=await request.read(),
                at=time.monotonic(),
                has_client_certificate=bool(peer),
            )
        )
        waiting = self._replies.get(kind)
        if not waiting:
            default = Reply(end=End.HELD) if kind == "watch" else Reply(status=503)
            return await self._say(request, default)
        return await self._say(request, waiting.pop(0))

    async def _say(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        answer = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        await answer.prepare(request)
        for chunk in reply.chunks:
            await answer.write(chunk)
            if reply.chunk_pause_s:
                await asyncio.sleep(reply.chunk_pause_s)
        if reply.end is End.HELD:
            await self._closing.wait()
        if reply.end is End.CUT and request.transport is not None:
            request.transport.abort()
        return answer

    def _kind(self, request: web.Request) -> str:
        if request.method != "GET":
            return request.method
        if request.path != self._collection:
            return "get"
        return "watch" if request.query.get("watch") else "list"

    def close(self) -> None:
        """Let go of held connections."""
        self._closing.set()


@contextlib.asynccontextmanager
async def recorded_server(
    collection: str = "/api/v1/pods", *, tls: Any = None, port: int = 0
) -> AsyncIterator[RecordedServer]:
    """A recorded server on a free port of the loopback; `tls` is an ssl.SSLContext."""
    server = RecordedServer(collection)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.close()
        await runner.cleanup()


async def until(holds: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Look again and again until something holds; TimeoutError if it never does."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- what is waited for is not ours to signal
            await asyncio.sleep(0.005)
