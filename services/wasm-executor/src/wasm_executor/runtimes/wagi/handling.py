"""One request of a CGI module: its route is found, a process answers, its output is sent on."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from wasm_executor.container.plan import Route
from wasm_executor.runtimes.wagi.answering import Output
from wasm_executor.runtimes.wagi.programs import Program
from wasm_executor.runtimes.wagi.pumping import Pump
from wasm_executor.runtimes.wagi.routes import Match, found
from wasm_executor.runtimes.wagi.variables import Place, arguments, variables
from wasm_executor.runtimes.wasihttp.connection import Request
from wasm_executor.runtimes.wasihttp.fields import Fields
from wasm_executor.runtimes.wasihttp.instance import OnWait
from wasm_executor.runtimes.wasihttp.messages import (
    Answer,
    IncomingBody,
    IncomingRequest,
    OutgoingResponse,
)

NUL: Final = "\0"


class CgiHandlers:
    """What a worker calls for each request."""

    def __init__(self, program: Program, routes: Sequence[Route], port: int) -> None:
        self._program = program
        self._routes = tuple(routes)
        self._port = port

    def handle(
        self,
        request: IncomingRequest,
        answer: Answer,
        deadline: float,
        on_wait: OnWait,
        reuse: int,  # noqa: ARG002 - each request has a process of its own, whatever is asked for
    ) -> None:
        """Run the module to its end; raise what ended it."""
        taken = request.consume()
        match = found(self._routes, (request.target or "/").partition("?")[0])
        if match is None:
            _say(answer, HTTPStatus.NOT_FOUND)
            return
        body = None if taken is None else taken.body
        env = variables(request, match, self._place(request, body))
        args = arguments(request, match.route)
        if any(NUL in text for text in (*args, *env.values())):
            _say(answer, HTTPStatus.BAD_REQUEST)
            return
        on_wait()
        self._run(match, args, env, body, answer, deadline)

    def _run(
        self,
        match: Match,
        args: list[str],
        env: dict[str, str],
        body: IncomingBody | None,
        answer: Answer,
        deadline: float,
    ) -> None:
        output = Output(answer)
        with self._program.begin(match.route.entrypoint, args, env, deadline) as running:
            Pump(body, running, output, deadline).run()
        output.finish()

    def _place(self, request: IncomingRequest, body: IncomingBody | None) -> Place:
        if not isinstance(body, Request):
            return Place("", self._port, "1.1", "0")
        told = request.fields.get("content-length")
        length = told[0].decode("ascii", "replace") if told else ""
        if not told and body.complete:
            length = str(sum(len(each) for each in body.chunks))
        return Place(body.connection.peer, self._port, body.version, length)


def _say(answer: Answer, status: HTTPStatus) -> None:
    fields = Fields([("content-type", b"text/plain; charset=utf-8")])
    response = OutgoingResponse(fields)
    response.status = status
    body = response.take_body()
    answer.respond(response)
    if body is not None:
        body.write(f"{status.phrase}\n".encode())
        body.finish(None)
