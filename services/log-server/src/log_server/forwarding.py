"""Forwarded connections of one client: pairs of SPDY streams, each with a connection of its own.

A pair is one stream for data and one for the words of a failure, matched by a request id. What
fails for one connection is told on its own pair; the others go on.
"""

import asyncio
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, ProtocolError
from log_server.podports import PodPorts
from log_server.session import race
from log_server.spdy.connection import Carrier, SpdyConnection, SpdyStream

log = structlog.get_logger()

PAIRS_WITHIN_S: Final = 30.0


class Pair(msgspec.Struct):
    """The two streams of one connection, as they come."""

    data: SpdyStream | None = None
    error: SpdyStream | None = None


class Forwarding:
    """All connections that come over one client's connection."""

    def __init__(self, ports: PodPorts, carrier: Carrier) -> None:
        self._ports = ports
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
            failure = await self._ports.carry(data, data.headers.get("port", ""))
            if failure:
                await error.write(failure.encode())
            for stream in (data, error):
                await stream.close()
        for stream in (data, error):
            self._connection.forget(stream)


def _request_id(stream: SpdyStream) -> str:
    """Return what a pair has in common; the oldest clients open the error stream just before."""
    named = stream.headers.get("requestid", "")
    if named:
        return named
    before = 2 if stream.headers.get("streamtype") == "data" else 0
    return str(stream.number - before)
