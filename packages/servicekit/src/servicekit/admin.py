"""The admin port of a service: `/healthz`, `/readyz` and `/metrics`, without authentication.

Bound to loopback unless told otherwise. It carries no secret and no pod content.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from prometheus_client import REGISTRY, disable_created_metrics, make_asgi_app

from servicekit.settings import ServiceSettings

log = structlog.get_logger()

Readiness = Callable[[], str | None]
"""Returns why the service is not ready, or None when it is."""

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Scope]]
_Send = Callable[[_Scope], Awaitable[None]]


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the service around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_until_cancelled(server: uvicorn.Server) -> None:
    """Run a uvicorn server as a task: cancelled, it closes its connections and ends."""
    try:
        await server.serve()
    finally:
        server.should_exit = True
        if server.started:
            await server.shutdown()


async def serve_admin(settings: ServiceSettings, ready: Readiness) -> None:
    """Serve the admin port until cancelled."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
    config = uvicorn.Config(
        _admin_app(ready),
        host=settings.admin_host,
        port=settings.admin_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        http="h11",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = QuietServer(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_until_cancelled(server), name="admin-server")
        while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        log.info("admin.listening", host=settings.admin_host, port=port)


def _admin_app(ready: Readiness) -> Callable[[_Scope, _Receive, _Send], Awaitable[None]]:
    metrics = make_asgi_app(REGISTRY)

    async def app(scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["path"] == "/metrics":
            await metrics(scope, receive, send)
        elif scope["path"] == "/healthz":
            await _answer(send, 200, "ok")
        elif scope["path"] == "/readyz":
            reason = ready()
            await _answer(send, 200 if reason is None else 503, reason or "ok")
        else:
            await _answer(send, 404, "not found")

    return app


async def _answer(send: _Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
