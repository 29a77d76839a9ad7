"""Clients that switch protocols, byte by byte under the control of a test."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from log_server_world import World, trusting
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, TextMessage

from log_server.spdy.frames import Data, Frame, FrameReader, FrameWriter, Reset, SynReply

EXEC = "/exec/default/p/c?input=1&output=1&error=1"
WITHIN_S = 25.0


class Upgraded:
    """A connection behind its request; `head` is the answer's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = ""

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    async def ask(self, path: str, **headers: str) -> Self:
        lines = [f"POST {path} HTTP/1.1", "Host: n1", "Authorization: Bearer admin-token"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        return self

    async def rest(self) -> bytes:
        """Everything up to the end, however it comes."""
        said = b""
        try:
            while piece := await self.reader.read(65536):
                said += piece
        except ConnectionError:
            pass
        return said

    def leave(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def connection(here: World) -> AsyncIterator[Upgraded]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", here.listener().port, ssl=trusting(), server_hostname="n1"
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            yield Upgraded(reader, writer)
    finally:
        writer.transport.abort()


class SocketClient:
    """The client's side of a WebSocket."""

    def __init__(self, upgraded: Upgraded) -> None:
        self._upgraded = upgraded
        self._frames = Connection(ConnectionType.CLIENT)

    async def open(self, path: str, protocol: str) -> Self:
        key = base64.b64encode(bytes(16)).decode()
        headers = {"Sec_WebSocket_Key": key, "Sec_WebSocket_Version": "13"}
        if protocol:
            headers["Sec_WebSocket_Protocol"] = protocol
        await self._upgraded.ask(path, Connection="Upgrade", Upgrade="websocket", **headers)
        return self

    def send(self, message: bytes, *, text: bool = False) -> None:
        event = TextMessage(data=message.decode()) if text else BytesMessage(data=message)
        self._upgraded.writer.write(self._frames.send(event))

    async def messages(self) -> list[bytes]:
        """Every message up to the server's goodbye."""
        found, parts = list[bytes](), list[bytes]()
        while True:
            self._frames.receive_data(await self._upgraded.reader.read(65536))
            for event in self._frames.events():
                if isinstance(event, CloseConnection):
                    return found
                if isinstance(event, Message):
                    data = event.data
                    parts.append(data.encode() if isinstance(data, str) else bytes(data))
                    if event.message_finished:
                        found.append(b"".join(parts))
                        parts.clear()


class SpdyClient:
    """The client's side of SPDY."""

    def __init__(self, upgraded: Upgraded) -> None:
        self._upgraded = upgraded
        self._reader = FrameReader()
        self.frames = FrameWriter()
        self.seen: list[Frame] = []

    async def open(self, path: str, version: str) -> Self:
        headers = {"X_Stream_Protocol_Version": version} if version else {}
        await self._upgraded.ask(path, Connection="Upgrade", Upgrade="SPDY/3.1", **headers)
        return self

    def write(self, frame: bytes) -> None:
        self._upgraded.writer.write(frame)

    def stream(self, number: int, **headers: str) -> None:
        self.write(self.frames.syn_stream(number, headers))

    async def ended(self, *streams: int) -> dict[int, bytes]:
        """What these streams say until the server ends each."""
        said, over = dict.fromkeys(streams, b""), set[int]()
        while not over >= set(streams):
            for frame in self._reader.feed(await self._upgraded.reader.read(65536)):
                self.seen.append(frame)
                if isinstance(frame, Data) and frame.stream in said:
                    said[frame.stream] += frame.data
                    over |= {frame.stream} if frame.fin else set()
                if isinstance(frame, Reset):
                    over.add(frame.stream)
        return said


__all__ = ["EXEC", "SocketClient", "SpdyClient", "SynReply", "Upgraded", "connection"]
