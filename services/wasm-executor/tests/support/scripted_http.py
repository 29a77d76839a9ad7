"""A server whose every answer is written down as bytes: what a real pod may send, and worse."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

HANG = b"<hang>"
"""Say no more, and do not close."""
RESET = b"<reset>"
"""Close with a reset."""
_LINGER_NOT = struct.pack("ii", 1, 0)


def response(
    status: str, *fields: str, body: bytes = b"", version: str = "HTTP/1.1", sized: bool = True
) -> bytes:
    """A response; its length is said unless a test wants it otherwise."""
    lines = [f"{version} {status}", *fields]
    if sized:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


@dataclass
class ScriptedServer:
    """One listener; `answers` by path, without its query."""

    host: str
    port: int
    answers: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    greets: bytes = b""
    """The answer to what is no GET."""
    heads: list[bytes] = field(default_factory=list)
    """What was asked, whole heads."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has gone while the server hung."""

    def answer(self, path: str, *parts: bytes) -> None:
        self.answers[path] = parts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            head = await reader.readexactly(4)
            if head == b"GET ":
                head += await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()
            return
        if not head.startswith(b"GET "):
            writer.write(self.greets)
            writer.close()
            return
        self.heads.append(head)
        path = head.split()[1].decode().partition("?")[0]
        with suppress(ConnectionError):
            for part in self.answers.get(path, (response("200 OK", body=b"ok"),)):
                await self._say(part, reader, writer)
        writer.close()

    async def part(self) -> None:
        """Leave no connection to the loop's end."""
        for writer in self.writers:
            writer.transport.abort()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _say(
        self, part: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if part == HANG:
            await reader.read()
            self.left.set()
        elif part == RESET:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()
        else:
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def serve(host: str, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer(host, 0)
    listener = await asyncio.start_server(scripted.serve, host, 0, ssl=tls)
    scripted.port = listener.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        listener.close()
        await scripted.part()
