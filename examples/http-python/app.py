"""An HTTP service for wasmlet in Python: says hello, and sends back what is posted to `/echo`.

`build` makes the component; each request has a fresh interpreter unless the pod asks for reuse.
"""

# ruff: noqa: INP001 - componentize-py takes a module

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.streams import InputStream, OutputStream, StreamError_Closed
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

AT_ONCE = 16 * 1024
WRITTEN_AT_ONCE = 4096


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        path = request.path_with_query() or "/"
        echoes = path == "/echo" and isinstance(request.method(), Method_Post)
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        response.set_status_code(200 if path in ("/", "/echo") else 404)
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as output:
            if path == "/":
                output.blocking_write_and_flush(b"hello from Python\n")
            elif echoes:
                _echo(request, output)
        OutgoingBody.finish(body, None)


def _echo(request: IncomingRequest, output: OutputStream) -> None:
    incoming = request.consume()
    with incoming.stream() as source:
        while data := _read(source):
            for start in range(0, len(data), WRITTEN_AT_ONCE):
                output.blocking_write_and_flush(data[start : start + WRITTEN_AT_ONCE])


def _read(source: InputStream) -> bytes:
    """Return what comes next, nothing at the end."""
    try:
        return source.blocking_read(AT_ONCE)
    except Err as error:
        if isinstance(error.value, StreamError_Closed):
            return b""
        raise
