"""`/healthz` with its checks, and `/metrics/slis`, which counts how they ended.

`ping` and `log` are this process's own and good wherever it answers; `syncloop` is the executor's.
A check's own path needs a credential, `/healthz` none.
"""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.ids import NodeName
from log_server.bus import Peers
from log_server.domain.healthchecks import CHECKS, SYNC_LOOP, CheckCounts, told

ANY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
NO_SNIFFING: Final = {"X-Content-Type-Options": "nosniff"}
_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Health:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def whole(self, request: Request) -> Response:
        node: NodeName = request.state.node
        asked = request.query_params
        excluded = asked.getlist("exclude")
        results = {
            check: await self._good(check, node) for check in CHECKS if check not in excluded
        }
        counts: CheckCounts = request.state.checks
        counts.count(results)
        answer = told(results, excluded, verbose="verbose" in asked)
        code = 200 if answer.healthy else 500
        return PlainTextResponse(answer.text, code, headers=NO_SNIFFING)

    async def single(self, request: Request, check: str) -> Response:
        node: NodeName = request.state.node
        if await self._good(check, node):
            return PlainTextResponse("ok", headers=NO_SNIFFING)
        text = f'internal server error: the executor of node "{node}" does not answer\n'
        return PlainTextResponse(text, 500, headers=NO_SNIFFING)

    async def slis(self, request: Request) -> Response:
        counts: CheckCounts = request.state.checks
        if request.method == "DELETE":
            counts.reset()
            return PlainTextResponse("metrics reset\n")
        return Response(counts.rendered(), headers={"Content-Type": _EXPOSITION})

    async def _good(self, check: str, node: NodeName) -> bool:
        return check != SYNC_LOOP or await self._peers.ping(node)


def serve_health(api: FastAPI, peers: Peers) -> None:
    """Add the routes."""
    health = _Health(peers)

    @api.api_route("/healthz", methods=ANY_METHOD, response_model=None)
    async def healthz(request: Request) -> Response:
        return await health.whole(request)

    for each in CHECKS:

        @api.api_route(f"/healthz/{each}", methods=ANY_METHOD, response_model=None)
        async def single(request: Request) -> Response:
            return await health.single(request, request.url.path.rpartition("/")[2])

    @api.api_route("/metrics/slis", methods=ANY_METHOD, response_model=None)
    async def slis(request: Request) -> Response:
        return await health.slis(request)
