"""The routes of stats and metrics: one question to the executor each, rendered here."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.errors import ContractError
from contract.ids import NodeName
from log_server.bus import Peers
from log_server.certificates import ServingCertificate
from log_server.domain.cadvisormetrics import cadvisor_metrics
from log_server.domain.exposition import CONTENT_TYPE, Family, exposed
from log_server.domain.kubeletmetrics import kubelet_metrics, serving_certificate, start_time
from log_server.domain.nodeusage import NodeUsage
from log_server.domain.probemetrics import probe_metrics
from log_server.domain.resourcemetrics import resource_metrics
from log_server.domain.summary import summary
from log_server.errors import PeerAwayError
from log_server.usage import node_usage

log = structlog.get_logger()

ANY: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
"""The kubelet registers its metrics for every method."""


def serve_stats(api: FastAPI, peers: Peers) -> None:
    """Add the routes. Who is not authorized never gets here."""

    @api.api_route("/stats/summary", methods=["GET", "POST"], response_model=None)
    async def stats_summary(request: Request) -> Response:
        return await _summary(peers, request)

    @api.api_route("/metrics/resource", methods=ANY, response_model=None)
    async def resource(request: Request) -> Response:
        return _text(resource_metrics(await _usage_if_there(peers, _node(request))))

    @api.api_route("/metrics", methods=ANY, response_model=None)
    async def metrics(request: Request) -> Response:
        certificate: ServingCertificate = request.state.certificate
        usage = await node_usage(peers, _node(request), counted=True)
        own = serving_certificate(certificate.expires_at - time.time())
        return _text([*kubelet_metrics(usage), *own])

    _serve(api, "/metrics/cadvisor", peers, cadvisor_metrics)
    _serve(api, "/metrics/probes", peers, _probes)


def _serve(
    api: FastAPI, path: str, peers: Peers, render: Callable[[NodeUsage], list[Family]]
) -> None:
    async def metrics(request: Request) -> Response:
        return _text(render(await node_usage(peers, _node(request))))

    answer: Callable[[Request], Awaitable[Response]] = metrics
    api.add_api_route(path, answer, methods=ANY, response_model=None)


def _probes(node: NodeUsage) -> list[Family]:
    return [*probe_metrics(node), start_time(node.shown.services)]


async def _summary(peers: Peers, request: Request) -> Response:
    asked = request.query_params.getlist("only_cpu_and_memory")
    files = asked != ["true"]
    node = _node(request)
    try:
        usage = await node_usage(peers, node, files=files)
    except (PeerAwayError, ContractError) as error:
        log.warning("usage.unknown", node=node, reason=str(error))
        return PlainTextResponse(f"Internal Error: {error}", 500)
    body = msgspec.json.encode(summary(usage, files=files))
    return Response(msgspec.json.format(body, indent=1), media_type="application/json")


async def _usage_if_there(peers: Peers, node: NodeName) -> NodeUsage | None:
    """Return None after a failure: the kubelet tells of it in a series of its own."""
    try:
        return await node_usage(peers, node)
    except (PeerAwayError, ContractError) as error:
        log.warning("usage.unknown", node=node, reason=str(error))
        return None


def _text(families: list[Family]) -> Response:
    # Given as a header, because Starlette would add a character set to a media type.
    return Response(exposed(families), headers={"Content-Type": CONTENT_TYPE})


def _node(request: Request) -> NodeName:
    node: NodeName = request.state.node
    return node
