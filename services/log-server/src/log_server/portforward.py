"""The route of port-forward: which pod is meant, and the switch to SPDY, bare or in a WebSocket, or
to a WebSocket of the old form.
"""

from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.ids import NodeName
from contract.messages.stream import ForwardOpen
from log_server.bus import Peers
from log_server.domain.remotecommand import ContainerPlace, pod_place
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, NegotiationError
from log_server.forwarding import Forwarding
from log_server.guard import Receive, Scope, Send
from log_server.metrics import REQUESTS, method_label, path_label
from log_server.podports import PodPorts
from log_server.portchannels import PROTOCOLS, PortChannels, asked_ports
from log_server.remote import new_stream
from log_server.spdy.connection import Carrier
from log_server.spdychannels import accepting_spdy, chosen_version, is_spdy, offered_versions
from log_server.websocket import WebSocket, accepting, is_websocket, offered_protocols

VERSION: Final = "portforward.k8s.io"
TUNNELLED: Final = f"SPDY/3.1+{VERSION}"
_NOT_FOUND: Final = "404 page not found\n"


def serve_port_forward(api: FastAPI, peers: Peers) -> None:
    """Add the route. Who is not authorized never gets here."""

    @api.api_route("/portForward/{rest:path}", methods=["GET", "POST"], response_model=None)
    async def port_forward(request: Request) -> Response:
        place = pod_place(request.path_params["rest"])
        if place is None:
            return PlainTextResponse(_NOT_FOUND, 404)
        node: NodeName = request.state.node
        asks = ForwardOpen(
            stream=new_stream(),
            namespace=place.namespace,
            pod=place.pod,
            uid=place.uid,
            port=0,
        )
        await peers.open_stream(node, asks)
        try:
            return _Forwards(request, peers, place)
        except NegotiationError as error:
            return PlainTextResponse(error.text, error.code)


class _Forwards(Response):
    """Forwarded connections in the place of a response: FastAPI calls it and does nothing else."""

    def __init__(self, request: Request, peers: Peers, place: ContainerPlace) -> None:
        super().__init__()
        self._request = request
        self._peers = peers
        self._place = place
        raw = request.headers.raw
        self._ports: tuple[int, ...] = ()
        self._protocol = ""
        if is_websocket(dict(raw)):
            self._accept_websocket(dict(raw))
        elif is_spdy(raw):
            self._accepting = accepting_spdy(chosen_version(offered_versions(raw), (VERSION,)))
        else:
            raise NegotiationError(400, "Upgrade request required")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI form
        """Run them; the connection is no HTTP any more."""
        REQUESTS.labels(method_label(scope["method"]), path_label(scope["path"]), "101").inc()
        try:
            duplex: Duplex = self._request.state.upgrade(self._accepting)
        except ClientGoneError:
            return
        node: NodeName = self._request.state.node
        pod = PodPorts(self._peers, node, self._place)
        try:
            await self._run(duplex, pod)
        finally:
            duplex.close()

    async def _run(self, duplex: Duplex, pod: PodPorts) -> None:
        if self._ports:
            await PortChannels(duplex, self._protocol, self._ports, pod).run()
            return
        carrier: Carrier = _InWebSocket(duplex) if self._protocol else duplex
        await Forwarding(pod, carrier).run(duplex)

    def _accept_websocket(self, headers: dict[bytes, bytes]) -> None:
        """Take the tunnel where it is offered, as a kubelet does, and else a channel protocol."""
        offered = offered_protocols(headers)
        known = [each for each in (TUNNELLED, *PROTOCOLS) if each in (offered or ("",))]
        if not known:
            raise NegotiationError(400, f"no protocol of {offered} is spoken here")
        self._protocol = known[0]
        if self._protocol != TUNNELLED:
            self._ports = asked_ports(self._request.url.query)
        self._accepting = accepting(headers, self._protocol)


class _InWebSocket:
    """SPDY's bytes as the messages of a WebSocket."""

    def __init__(self, duplex: Duplex) -> None:
        self._socket = WebSocket(duplex)
        self._messages: AsyncIterator[bytes] = self._socket.messages()

    async def read(self) -> bytes:
        """Return what is in the next message that is not empty, b"" at the end."""
        async for message in self._messages:
            if message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        """Send it as one message."""
        await self._socket.send(data)
