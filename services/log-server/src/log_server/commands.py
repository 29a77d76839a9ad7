"""The routes of exec and attach: what is meant, in which protocol, and the switch to it.

What can be refused is refused before the switch, as plain HTTP: that text reaches the user.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.ids import NodeName
from contract.messages.stream import AttachOpen, ExecOpen
from log_server.attaching import Attached
from log_server.bus import Peers
from log_server.channels import WebSocketChannels, chosen_protocol
from log_server.domain.remotecommand import (
    CommandOptions,
    ContainerPlace,
    OptionsError,
    command_options,
    container_place,
)
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, NegotiationError
from log_server.guard import Receive, Scope, Send
from log_server.metrics import REQUESTS, method_label, path_label
from log_server.remote import RemoteStream
from log_server.session import CommandClient, Remote, run_command
from log_server.spdychannels import (
    VERSIONS,
    SpdyChannels,
    accepting_spdy,
    chosen_version,
    is_spdy,
    offered_versions,
)
from log_server.websocket import accepting, is_websocket, offered_protocols

METHODS: Final = ["GET", "POST"]

type _Client = Callable[[Duplex], CommandClient]
type _Begin = Callable[[NodeName, ContainerPlace, CommandOptions], Awaitable[Remote]]

_NOT_FOUND: Final = "404 page not found\n"


def serve_commands(api: FastAPI, peers: Peers) -> None:
    """Add the routes. Who is not authorized never gets here."""

    @api.api_route("/exec/{rest:path}", methods=METHODS, response_model=None)
    async def exec_(request: Request) -> Response:
        return await _serve(request, partial(_exec, peers))

    @api.api_route("/attach/{rest:path}", methods=METHODS, response_model=None)
    async def attach(request: Request) -> Response:
        return await _serve(request, partial(_attach, peers))


async def _serve(request: Request, begin: _Begin) -> Response:
    place = container_place(request.path_params["rest"])
    if place is None:
        return PlainTextResponse(_NOT_FOUND, 404)
    try:
        options = command_options(request.url.query)
    except OptionsError as error:
        return PlainTextResponse(str(error), 400)
    remote = await begin(request.state.node, place, options)
    try:
        return _Session(_Switch(request, options), remote)
    except NegotiationError as error:
        await remote.close()
        return PlainTextResponse(error.text, error.code)


async def _exec(
    peers: Peers, node: NodeName, place: ContainerPlace, options: CommandOptions
) -> Remote:
    remote = RemoteStream(peers, node)
    await remote.open(_exec_command(remote, place, options))
    return remote


async def _attach(
    peers: Peers, node: NodeName, place: ContainerPlace, options: CommandOptions
) -> Remote:
    remote = RemoteStream(peers, node)
    opened = await remote.open(_attach_command(remote, place, options))
    return Attached(peers, node, remote, opened, options)


def _attach_command(
    remote: RemoteStream, place: ContainerPlace, options: CommandOptions
) -> AttachOpen:
    return AttachOpen(
        stream=remote.name,
        namespace=place.namespace,
        pod=place.pod,
        uid=place.uid,
        container=place.container,
        stdin=options.stdin,
    )


def _exec_command(remote: RemoteStream, place: ContainerPlace, options: CommandOptions) -> ExecOpen:
    return ExecOpen(
        stream=remote.name,
        namespace=place.namespace,
        pod=place.pod,
        uid=place.uid,
        container=place.container,
        command=options.command,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr,
        tty=options.tty,
    )


class _Switch:
    """How this client's connection becomes a remote command's."""

    def __init__(self, request: Request, options: CommandOptions) -> None:
        self._upgrade = request.state.upgrade
        self._options = options
        raw = request.headers.raw
        if is_websocket(dict(raw)):
            self._accept_websocket(dict(raw))
        elif is_spdy(raw):
            self._accept_spdy(raw)
        else:
            raise NegotiationError(400, "Upgrade request required")

    async def run(self, remote: Remote) -> None:
        """Take the connection over, to its end."""
        duplex: Duplex = self._upgrade(self._accepting)
        try:
            await run_command(self._client(duplex), duplex, remote)
        finally:
            duplex.close()

    def _accept_websocket(self, headers: dict[bytes, bytes]) -> None:
        protocol = chosen_protocol(offered_protocols(headers))
        self._accepting = accepting(headers, protocol.name)
        self._client: _Client = lambda duplex: WebSocketChannels(duplex, protocol, self._options)

    def _accept_spdy(self, headers: list[tuple[bytes, bytes]]) -> None:
        name = chosen_version(offered_versions(headers), tuple(VERSIONS))
        self._accepting = accepting_spdy(name)
        self._client = lambda duplex: SpdyChannels(duplex, VERSIONS[name], self._options)


class _Session(Response):
    """A session in the place of a response: FastAPI calls it and does nothing else."""

    def __init__(self, switch: _Switch, remote: Remote) -> None:
        super().__init__()
        self._switch = switch
        self._remote = remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI form
        """Run it; the connection is no HTTP any more."""
        REQUESTS.labels(method_label(scope["method"]), path_label(scope["path"]), "101").inc()
        try:
            await self._switch.run(self._remote)
        except ClientGoneError:
            await self._remote.close()
