"""Port-forward in a WebSocket of the old form: two channels for each port that the query names.

The even ones carry data, the odd ones the words of a failure. Each begins with its port, two bytes.
A client cannot end one direction alone, and each port has one connection.
"""

import asyncio
import base64
import binascii
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

import structlog

from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, NegotiationError, ProtocolError
from log_server.podports import MAX_PORT, PodPorts
from log_server.session import race
from log_server.websocket import WebSocket

log = structlog.get_logger()

BASE64: Final = "v4.base64.channel.k8s.io"
PROTOCOLS: Final = ("", "v4.channel.k8s.io", BASE64)
MAX_PORTS: Final = 100
"""Two channels each, and a channel is a byte."""
QUEUED: Final = 8
"""Messages that may wait for a port that does not read: then the client waits."""
_DIGIT_ZERO: Final = ord("0")


def asked_ports(query: str) -> tuple[int, ...]:
    """Return the ports that a query names; the words of a refusal are the kubelet's."""
    given = parse_qs(query, keep_blank_values=True).get("port", [])
    if not given:
        raise NegotiationError(400, 'query parameter "port" is required')
    if "" in given:
        raise NegotiationError(400, 'query parameter "port" cannot be empty')
    ports = tuple(_number(each) for value in given for each in value.split(","))
    if len(ports) > MAX_PORTS:
        raise NegotiationError(400, f"more than {MAX_PORTS} ports")
    return ports


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > MAX_PORT:
        raise NegotiationError(400, f'unable to parse "{text}" as a port')
    if int(text) == 0:
        raise NegotiationError(400, f'port "{text}" must be > 0')
    return int(text)


class PortChannel:
    """The client's side of one port's connection."""

    def __init__(self, channels: "PortChannels", number: int) -> None:
        self.reset_by_client = asyncio.Event()
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue(QUEUED)
        self._over = False
        self._channels = channels
        self._number = number

    async def read(self) -> bytes | None:
        """Return what comes next; the end is that of the whole connection."""
        return await self._arrived.get()

    async def write(self, data: bytes) -> None:
        """Send; returns when there is room for more."""
        if data:
            await self._channels.send(self._number, data)

    async def feed(self, data: bytes) -> None:
        """Take what the client says; waits while the port has too much."""
        if not self._over:
            await self._arrived.put(data)

    def end(self) -> None:
        """Nobody reads any more: what still comes must hold nobody up."""
        self._over = True
        while not self._arrived.empty():
            self._arrived.get_nowait()


class PortChannels:
    """All ports of one client's connection."""

    def __init__(
        self, duplex: Duplex, protocol: str, ports: tuple[int, ...], pod: PodPorts
    ) -> None:
        self._duplex = duplex
        self._socket = WebSocket(duplex)
        self._base64 = protocol == BASE64
        self._pod = pod
        self._ports = ports
        self._data = [PortChannel(self, 2 * index) for index in range(len(ports))]

    async def run(self) -> None:
        """Carry all ports until they have ended, or the client has gone."""
        try:
            await race(self._carry_all(), self._listen(), self._duplex.lost())
        except* ClientGoneError:
            log.info("client.gone")
        except* ProtocolError as errors:
            log.info("client.refused", reason=str(errors.exceptions[0]))
        await self._socket.close()

    async def send(self, channel: int, data: bytes) -> None:
        """Send a message on one channel."""
        if self._base64:
            head = bytes([_DIGIT_ZERO + channel])
            await self._socket.send(head + base64.b64encode(data), text=True)
        else:
            await self._socket.send(bytes([channel]) + data)

    async def _carry_all(self) -> None:
        for channel in range(2 * len(self._ports)):
            await self.send(channel, self._ports[channel // 2].to_bytes(2, "little"))
        async with asyncio.TaskGroup() as tasks:
            for index, port in enumerate(self._ports):
                tasks.create_task(self._carry(index, port), name=f"forward-{port}")

    async def _carry(self, index: int, port: int) -> None:
        """One that fails says so; the others go on."""
        failure = await self._pod.carry(self._data[index], str(port))
        self._data[index].end()
        if failure:
            with suppress(ClientGoneError):
                await self.send(2 * index + 1, failure.encode())

    async def _listen(self) -> None:
        async for message in self._socket.messages():
            if not message:
                continue
            channel = message[0] - _DIGIT_ZERO if self._base64 else message[0]
            index, is_error = divmod(channel, 2)
            if not is_error and 0 <= index < len(self._data):
                await self._data[index].feed(self._decoded(message[1:]))

    def _decoded(self, data: bytes) -> bytes:
        if not self._base64:
            return data
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise ProtocolError(f"not base64: {error}") from error
