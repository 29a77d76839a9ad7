"""The plain port for health checks, for whoever is on this host: a kubelet's `127.0.0.1:10248`.

One port for all nodes of this process, so it is well when every one of them is. It is off unless a
port is set: a kubelet on the same host has it, and so would each further log-server.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.ids import NodeName
from log_server.bus import Peers
from log_server.domain.healthchecks import CHECKS, SYNC_LOOP, told
from log_server.health import ANY_METHOD, NO_SNIFFING
from log_server.listener import opened
from log_server.settings import LogServerSettings
from servicekit.admin import QuietServer

log = structlog.get_logger()

_IDLE_S: Final = 5
_FAILED: Final = "internal server error: not every node's executor answers\n"

type Nodes = Callable[[], Collection[NodeName]]


async def serve_healthz(settings: LogServerSettings, peers: Peers, nodes: Nodes) -> None:
    """Serve it until cancelled, if it is wanted."""
    if not settings.healthz_port:
        return
    taken = opened(settings.healthz_bind_address, settings.healthz_port)
    config = uvicorn.Config(
        _application(peers, nodes),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        http="h11",
        ws="none",
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=1,
    )
    log.info("healthz.listening", port=settings.healthz_port)
    server = QuietServer(config)
    try:
        await server.serve(sockets=[taken])
    finally:
        server.should_exit = True
        if server.started:
            await server.shutdown(sockets=[taken])
        taken.close()


def _application(peers: Peers, nodes: Nodes) -> FastAPI:
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @api.api_route("/healthz", methods=ANY_METHOD, response_model=None)
    async def healthz(request: Request) -> Response:
        asked = request.query_params
        excluded = asked.getlist("exclude")
        results = {each: await _good(each, peers, nodes) for each in CHECKS if each not in excluded}
        answer = told(results, excluded, verbose="verbose" in asked)
        return PlainTextResponse(answer.text, 200 if answer.healthy else 500, headers=NO_SNIFFING)

    @api.api_route("/healthz/{check}", methods=ANY_METHOD, response_model=None)
    async def single(request: Request) -> Response:
        check = request.path_params["check"]
        if check not in CHECKS:
            return PlainTextResponse("404 page not found\n", 404)
        if await _good(check, peers, nodes):
            return PlainTextResponse("ok", headers=NO_SNIFFING)
        return PlainTextResponse(_FAILED, 500, headers=NO_SNIFFING)

    return api


async def _good(check: str, peers: Peers, nodes: Nodes) -> bool:
    if check != SYNC_LOOP:
        return True
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(peers.ping(each), name=f"ping-{each}") for each in nodes()]
    return bool(asking) and all(each.result() for each in asking)
