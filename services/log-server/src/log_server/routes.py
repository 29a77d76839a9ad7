"""The routes of the kubelet API that are served, in FastAPI, with the kubelet's texts.

Only what has passed the guard arrives here. Bodies of errors are plain text, as the kubelet's are:
the API server hands the text of a 400 or 500 on to the user. What follows a path is read from the
request: for a parameter FastAPI would load what validates it, 1.5 MB that nothing else needs.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from contract.errors import CommandError, ContractError
from contract.ids import NodeName
from contract.messages.log import LogOpen
from log_server.bus import Peers
from log_server.commands import serve_commands
from log_server.debugging import serve_debugging, serve_debugging_disabled
from log_server.domain.logoptions import (
    InvalidOptionsError,
    LogQueryError,
    parse_container_path,
    parse_log_options,
)
from log_server.errors import PeerAwayError
from log_server.guard import Receive, Scope, Send
from log_server.health import serve_health
from log_server.logstream import LogStream
from log_server.podlist import pod_list
from log_server.portforward import serve_port_forward
from log_server.runcommand import serve_run
from log_server.settings import LogServerSettings
from log_server.statsroutes import serve_stats
from log_server.unstarted import explained

log = structlog.get_logger()

_NOT_FOUND: Final = "404 page not found\n"
_SHOWN: Final = (400, 404, 429)

type _Handler = Callable[[Request, Exception], Awaitable[Response]]


class _LogAnswer(Response):
    """A log stream in the place of a response: FastAPI calls it and does nothing else."""

    def __init__(self, stream: LogStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)


def kubelet_api(peers: Peers, settings: LogServerSettings) -> FastAPI:
    """Return the application behind the guards of all listeners."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @api.get("/pods", response_model=None)
    async def pods(request: Request) -> Response:
        body = await pod_list(peers, _node(request))
        return StreamingResponse(body, media_type="application/json")

    serve_health(api, peers)
    serve_stats(api, peers)
    if settings.enable_debugging_handlers:
        _serve_what_debugging_allows(api, peers, settings)
    else:
        serve_debugging_disabled(api)
    _explain_errors(api)
    return api


def _serve_what_debugging_allows(api: FastAPI, peers: Peers, settings: LogServerSettings) -> None:
    @api.api_route("/containerLogs/{rest:path}", methods=["GET"], response_model=None)
    async def container_logs(request: Request) -> Response:
        return await _logs(peers, request, request.path_params["rest"])

    serve_commands(api, peers)
    serve_port_forward(api, peers)
    serve_run(api, peers)
    serve_debugging(api, peers, settings)


async def _logs(peers: Peers, request: Request, rest: str) -> Response:
    """Return the answer to `/containerLogs/`; `rest` is the path behind it."""
    path = parse_container_path(rest)
    if path is None:
        return PlainTextResponse(_NOT_FOUND, 404)
    options = parse_log_options(request.url.query, time.time_ns())
    command = LogOpen(
        namespace=path.namespace,
        pod=path.pod,
        container=path.container,
        previous=options.previous,
        tail_lines=options.tail_lines,
    )
    node = _node(request)
    try:
        cursor = await peers.open_log(node, command)
    except CommandError as refusal:
        raise await explained(peers, node, command, refusal) from refusal
    return _LogAnswer(LogStream(peers, node, cursor, options))


def _node(request: Request) -> NodeName:
    node: NodeName = request.state.node
    return node


def _explain_errors(api: FastAPI) -> None:
    handlers: dict[type[Exception], _Handler] = {
        HTTPException: _plain,
        RequestValidationError: _invalid,
        LogQueryError: _bad_query,
        CommandError: _refused,
        ContractError: _broken,
        PeerAwayError: _away,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


async def _plain(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = _NOT_FOUND if error.status_code == 404 else f"{error.status_code}: {error.detail}"  # noqa: PLR2004 - the code's own name
    return PlainTextResponse(text, error.status_code, headers=error.headers)


async def _invalid(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse(str(InvalidOptionsError()), 422)


async def _bad_query(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 422 if isinstance(error, InvalidOptionsError) else 400)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, CommandError)
    return PlainTextResponse(error.message, error.code if error.code in _SHOWN else 500)


async def _broken(request: Request, error: Exception) -> Response:
    log.warning("answer.unreadable", path=request.url.path, reason=str(error))
    return PlainTextResponse("the peer's answer cannot be read", 500)


async def _away(request: Request, error: Exception) -> Response:
    log.warning("peer.away", path=request.url.path, reason=str(error))
    # 500 and not 503: of that the API server hands the text on.
    text = f'node "{_node(request)}" does not answer at the moment: {error}'
    return PlainTextResponse(text, 500)
