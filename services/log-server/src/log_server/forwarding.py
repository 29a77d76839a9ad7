"""Forwarded connections of one client: pairs of SPDY streams, each with a connection of its own.

A pair is one stream for data and one for the words of a failure, matched by a request id. What
fails for one connection is told on its own pair; the others go on.
"""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from contract.errors import CommandError, ContractError
from contract.ids import NodeName
from contract.messages.stream import ForwardOpen
from log_server.bus import Peers
from log_server.domain.remotecommand import ContainerPlace
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, PeerAwayError, ProtocolError
from log_server.remote import RemoteStream
from log_server.session import endless, race
from log_server.spdy.connection import Carrier, SpdyConnection, SpdyStream

log = structlog.get_logger()

PAIRS_WITHIN_S: Final = 30.0
MAX_PORT: Final = 65535


class Pair(msgspec.Struct):
    """The two streams of one connection, as they come."""

    data: SpdyStream | None = None
    error: SpdyStream | None = None


class Forwarding:
    """All connections that come over one client's connection."""

    def __init__(
        self, peers: Peers, node: NodeName, place: ContainerPlace, carrier: Carrier
    ) -> None:
        self._peers = peers
        self._node = node
        self._place = place
        self._connection = SpdyConnection(carrier, self._hear)
        self._pairs: dict[str, Pair] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, duplex: Duplex) -> None:
        """Serve the client until he leaves; then end all of his connections."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                serving = tasks.create_task(self._serve(duplex), name="forward-client")
                await asyncio.wait([serving])
                self._tasks = None
                for task in list(tasks._tasks):  # noqa: SLF001 - a group has no word for all of its tasks
                    task.cancel()
        except* ClientGoneError:
            log.info("client.gone")
        except* ProtocolError as errors:
            log.info("client.refused", reason=str(errors.exceptions[0]))

    async def _serve(self, duplex: Duplex) -> None:
        await race(self._connection.listen(), duplex.lost())

    def _hear(self, stream: SpdyStream) -> None:
        kind, name = stream.headers.get("streamtype"), _request_id(stream)
        pair = self._pairs.setdefault(name, Pair())
        if kind == "error":
            pair.error = stream
        elif kind == "data":
            pair.data = stream
        if self._tasks is None:
            return
        if pair.data is not None and pair.error is not None:
            del self._pairs[name]
            forward = self._forward(pair.data, pair.error)
            self._tasks.create_task(forward, name=f"forward-{stream.number}")
        else:
            self._tasks.create_task(self._expire(name, pair), name=f"expire-{stream.number}")

    async def _expire(self, name: str, pair: Pair) -> None:
        """One stream alone says that the other does not come."""
        await asyncio.sleep(PAIRS_WITHIN_S)
        if self._pairs.get(name) is pair:
            del self._pairs[name]
            for stream in (pair.data, pair.error):
                if stream is not None:
                    await stream.reset()

    async def _forward(self, data: SpdyStream, error: SpdyStream) -> None:
        with suppress(ClientGoneError):
            failure = await self._carry(data)
            if failure:
                await error.write(failure.encode())
            for stream in (data, error):
                await stream.close()
        for stream in (data, error):
            self._connection.forget(stream)

    async def _carry(self, data: SpdyStream) -> str:
        """Carry one connection to its end; return what went wrong with it."""
        port = data.headers.get("port", "")
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


async def _output(data: SpdyStream, remote: RemoteStream) -> None:
    while True:
        chunk = await remote.read()
        await data.write(chunk.out)
        if chunk.end is not None:
            return


async def _input(data: SpdyStream, remote: RemoteStream) -> None:
    wanted = True
    while (piece := await data.read()) is not None:
        wanted = wanted and await remote.write(piece)
    if wanted:
        await remote.write(b"", end=True)


async def _reset(data: SpdyStream) -> None:
    await data.reset_by_client.wait()


def _request_id(stream: SpdyStream) -> str:
    """Return what a pair has in common; the oldest clients open the error stream just before."""
    named = stream.headers.get("requestid", "")
    if named:
        return named
    before = 2 if stream.headers.get("streamtype") == "data" else 0
    return str(stream.number - before)


def _port_number(port: str) -> int:
    if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        raise CommandError(400, f'"{port}" is no port')
    return int(port)
