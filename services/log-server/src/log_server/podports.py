"""Connections to the ports of one pod: bytes both ways, in whatever form the client has them."""

import asyncio
from typing import Final, Protocol

from contract.errors import CommandError, ContractError
from contract.ids import NodeName
from contract.messages.stream import ForwardOpen
from log_server.bus import Peers
from log_server.domain.remotecommand import ContainerPlace
from log_server.errors import PeerAwayError
from log_server.remote import RemoteStream
from log_server.session import endless, race

MAX_PORT: Final = 65535


class Ends(Protocol):
    """The client's side of one connection."""

    reset_by_client: asyncio.Event

    async def read(self) -> bytes | None: ...
    async def write(self, data: bytes) -> None: ...


class PodPorts:
    """The ports of one pod."""

    def __init__(self, peers: Peers, node: NodeName, place: ContainerPlace) -> None:
        self._peers = peers
        self._node = node
        self._place = place

    async def carry(self, data: Ends, port: str) -> str:
        """Carry one connection to its end; return what went wrong with it."""
        remote = RemoteStream(self._peers, self._node)
        failure = ""
        try:
            await remote.open(self._command(remote, _port_number(port)))
            await race(
                _output(data, remote),
                _reset(data),
                endless(_input(data, remote)),
                remote.keep(),
            )
        except* (PeerAwayError, ContractError) as errors:
            failure = self._failed(port, errors.exceptions[0])
        finally:
            await asyncio.shield(remote.close())
        return failure

    def _command(self, remote: RemoteStream, port: int) -> ForwardOpen:
        place = self._place
        return ForwardOpen(
            stream=remote.name, namespace=place.namespace, pod=place.pod, uid=place.uid, port=port
        )

    def _failed(self, port: str, error: BaseException) -> str:
        reason = error.message if isinstance(error, CommandError) else str(error)
        place = self._place
        return f"error forwarding port {port} to pod {place.pod}, uid {place.uid}: {reason}"


async def _output(data: Ends, remote: RemoteStream) -> None:
    while True:
        chunk = await remote.read()
        await data.write(chunk.out)
        if chunk.end is not None:
            return


async def _input(data: Ends, remote: RemoteStream) -> None:
    wanted = True
    while (piece := await data.read()) is not None:
        wanted = wanted and await remote.write(piece)
    if wanted:
        await remote.write(b"", end=True)


async def _reset(data: Ends) -> None:
    await data.reset_by_client.wait()


def _port_number(port: str) -> int:
    if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        raise CommandError(400, f'"{port}" is no port')
    return int(port)
