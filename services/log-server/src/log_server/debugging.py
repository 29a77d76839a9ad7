"""The routes that a kubelet has for debugging, and its words where they are switched off.

Never there, whatever is set: `/logs/` (the node's system logs are on another machine, as seen from
here), profiling and flags of a process in another language, and checkpoints of containers.
"""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.ids import NodeName
from log_server.bus import Peers
from log_server.domain.kubeletconfig import kubelet_config
from log_server.domain.remotecommand import container_place
from log_server.domain.runningpods import running_pods
from log_server.health import ANY_METHOD
from log_server.settings import LogServerSettings
from log_server.usage import node_usage

_HEAD: Final = b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":['
_TAIL: Final = b"]}"
_NO_SNIFFING: Final = {"X-Content-Type-Options": "nosniff"}
_OFF: Final = {
    "/logs/{rest:path}": "logs endpoint is disabled.\n",
    "/debug/pprof/{rest:path}": "profiling endpoint is disabled.\n",
    "/debug/flags/v": "flags endpoint is disabled.\n",
}
_ALL_OFF: Final = "Debug endpoints are disabled.\n"
_DEBUGGING: Final = (
    *("run", "exec", "attach", "portForward", "containerLogs", "runningpods"),
    *("debug/pprof", "logs"),
)


def serve_debugging(api: FastAPI, peers: Peers, settings: LogServerSettings) -> None:
    """Add the routes that are there beside those which run something."""
    for path, text in _OFF.items():
        _serve_text(api, path, text)

    @api.get("/runningpods/", response_model=None)
    async def runningpods(request: Request) -> Response:
        node: NodeName = request.state.node
        usage = await node_usage(peers, node)
        body = _HEAD + b",".join(running_pods(usage.pods)) + _TAIL
        return Response(body, media_type="application/json")

    @api.api_route("/configz", methods=ANY_METHOD, response_model=None)
    async def configz(request: Request) -> Response:
        body = kubelet_config(settings, request.scope["server"][1])
        return Response(body, media_type="application/json", headers=_NO_SNIFFING)

    @api.api_route("/checkpoint/{rest:path}", methods=["POST"], response_model=None)
    async def checkpoint(request: Request) -> Response:
        place = container_place(request.path_params["rest"])
        if place is None or place.uid:
            return PlainTextResponse("404 page not found\n", 404)
        named = f"{place.namespace}/{place.pod}/{place.container}"
        text = f"checkpointing of {named} failed (containers here cannot be checkpointed)"
        return PlainTextResponse(text, 404)  # as where the kubelet's feature is off


def serve_debugging_disabled(api: FastAPI) -> None:
    """Add the kubelet's refusals in the place of all of them."""
    for stem in _DEBUGGING:
        _serve_text(api, f"/{stem}/{{rest:path}}", _ALL_OFF)


def _serve_text(api: FastAPI, path: str, text: str) -> None:
    @api.api_route(path, methods=ANY_METHOD, response_model=None)
    async def disabled() -> Response:
        return PlainTextResponse(text, 405, headers=_NO_SNIFFING)
