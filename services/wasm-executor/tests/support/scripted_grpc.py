"""A gRPC server for one unary call, its half of HTTP/2 by h2; what it answers is up to the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

type Fields = list[tuple[str, str]]
HEAD: Fields = [(":status", "200"), ("content-type", "application/grpc")]


def status(number: int) -> bytes:
    """A framed HealthCheckResponse."""
    body = bytes((0x08, number)) if number else b""
    return bytes((0, 0, 0, 0, len(body))) + body


@dataclass
class Reply:
    """What one call is answered with."""

    head: Fields = field(default_factory=lambda: list(HEAD))
    data: bytes = b""
    trailers: Fields | None = None
    hangs: bool = False
    reset: bool = False
    closes: bool = False


def serving(number: int) -> Reply:
    return Reply(data=status(number), trailers=[("grpc-status", "0")])


def failed(code: int, message: str) -> Reply:
    """As a server that sends nothing but trailers."""
    return Reply(head=[*HEAD, ("grpc-status", str(code)), ("grpc-message", message)])


@dataclass
class ScriptedGrpc:
    port: int = 0
    reply: Reply = field(default_factory=lambda: serving(1))
    asked: list[dict[str, str]] = field(default_factory=list)
    questions: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has gone."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        writer.write(http.data_to_send())
        question = b""
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                for event in http.receive_data(data):
                    match event:
                        case RequestReceived(headers=headers):
                            self.asked.append({str(k): str(v) for k, v in headers or ()})
                        case DataReceived(data=part):
                            question += part or b""
                        case StreamEnded(stream_id=stream):
                            self.questions.append(question)
                            self._answer(http, stream or 0)
                writer.write(http.data_to_send())
                if self.reply.closes and self.questions:
                    break
        self.left.set()
        writer.close()

    def _answer(self, http: H2Connection, stream: int) -> None:
        reply = self.reply
        if reply.hangs or reply.closes:
            return
        if reply.reset:
            http.reset_stream(stream)
            return
        alone = not reply.data and reply.trailers is None
        http.send_headers(stream, reply.head, end_stream=alone)
        if reply.data:
            http.send_data(stream, reply.data, end_stream=reply.trailers is None)
        if reply.trailers is not None:
            http.send_headers(stream, reply.trailers, end_stream=True)


@asynccontextmanager
async def serve_grpc(host: str = "127.0.0.1") -> AsyncIterator[ScriptedGrpc]:
    scripted = ScriptedGrpc()
    listener = await asyncio.start_server(scripted.serve, host, 0)
    scripted.port = listener.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        listener.close()
        for writer in scripted.writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
