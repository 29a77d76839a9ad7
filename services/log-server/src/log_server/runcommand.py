"""`/run`: a command whose output is one plain answer. Old, and still what some scripts use.

The mechanism is exec's. What is kept of the output is bounded as container runtimes bound it, and
a client that goes takes its command with it.
"""

from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.stream import ExecOpen, StreamEnd
from log_server.bus import Peers
from log_server.domain.remotecommand import container_place
from log_server.errors import PeerAwayError
from log_server.remote import RemoteStream
from log_server.session import race

OUTPUT_BYTES: Final = 16 * 1024 * 1024
"""What is said beyond it, on each of the two streams, is dropped, as containerd does."""


def serve_run(api: FastAPI, peers: Peers) -> None:
    """Add the route. Who is not authorized never gets here."""

    @api.api_route("/run/{rest:path}", methods=["POST"], response_model=None)
    async def run(request: Request) -> Response:
        place = container_place(request.path_params["rest"])
        if place is None:
            return PlainTextResponse("404 page not found\n", 404)
        node: NodeName = request.state.node
        remote = RemoteStream(peers, node)
        command = tuple(request.query_params.get("cmd", "").split(" "))
        opening = ExecOpen(
            stream=remote.name,
            namespace=place.namespace,
            pod=place.pod,
            uid=place.uid,
            container=place.container,
            command=command,
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
        )
        await remote.open(opening)
        ran = _Run(remote)
        try:
            await race(ran.collect(), remote.keep(), _gone(request))
        finally:
            await remote.close()
        return ran.answer(command)


class _Run:
    def __init__(self, remote: RemoteStream) -> None:
        self._remote = remote
        self._out = bytearray()
        self._err = bytearray()
        self._end = StreamEnd(failure="the client has gone")

    async def collect(self) -> None:
        end: StreamEnd | None = None
        while end is None:
            try:
                chunk = await self._remote.read()
            except (PeerAwayError, ContractError) as error:
                end = StreamEnd(failure=f"the stream broke: {error}")
                break
            self._out += chunk.out[: OUTPUT_BYTES - len(self._out)]
            self._err += chunk.err[: OUTPUT_BYTES - len(self._err)]
            end = chunk.end
        self._end = end

    def answer(self, command: tuple[str, ...]) -> Response:
        if self._end.failure:
            return PlainTextResponse(self._end.failure, 500)
        if self._end.exit_code:
            said = self._err.decode(errors="replace")
            text = f"command '{' '.join(command)}' exited with {self._end.exit_code}: {said}"
            return PlainTextResponse(text, 500)
        output = bytes(self._out + self._err)
        if not output:
            return Response()  # Go writes no type for nothing
        return Response(output, media_type="application/json")  # so says the kubelet of any output


async def _gone(request: Request) -> None:
    """Return when the client has gone; a body that he sends means nothing."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
