"""A remote command under way: bytes between a client and a stream of an executor.

It ends with the command, when the client has gone, or when he breaks his protocol; the stream ends
with it in every case, and so does its process. A client that does not read costs one chunk.
"""

import asyncio
from collections.abc import Coroutine
from typing import Protocol

import structlog

from contract.errors import ContractError
from contract.messages.stream import StreamChunk, StreamEnd
from log_server.domain.remotecommand import Channel
from log_server.duplex import Duplex
from log_server.errors import ClientGoneError, PeerAwayError, ProtocolError

log = structlog.get_logger()


class Remote(Protocol):
    """What he is connected to: a stream of an executor, or something alike."""

    name: str

    async def read(self) -> StreamChunk: ...
    async def write(self, data: bytes, *, end: bool = False) -> bool: ...
    async def keep(self) -> None: ...
    async def close(self) -> None: ...


class CommandClient(Protocol):
    """Who asked, whatever protocol he speaks."""

    async def begin(self) -> None: ...
    async def listen(self) -> None: ...
    async def stdin(self) -> bytes | None: ...
    async def send(self, channel: Channel, data: bytes) -> None: ...
    async def finish(self, end: StreamEnd) -> None: ...


async def race(*sides: Coroutine[None, None, None]) -> None:
    """Run them until the first ends; the others are cancelled."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each, name="session-side") for each in sides]
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for each in running:
            each.cancel()


async def run_command(client: CommandClient, duplex: Duplex, remote: Remote) -> None:
    """Carry bytes both ways until there is an end."""
    try:
        await race(
            _output(client, remote),
            _listening(client),
            duplex.lost(),
            endless(_input(client, remote)),
            remote.keep(),
        )
    except* ClientGoneError:
        log.info("client.gone", stream=remote.name)
    except* ProtocolError as errors:
        log.info("client.refused", stream=remote.name, reason=str(errors.exceptions[0]))
    finally:
        await asyncio.shield(remote.close())


async def _listening(client: CommandClient) -> None:
    await client.listen()


async def _output(client: CommandClient, remote: Remote) -> None:
    """Pass on what the command says, and then how it ended."""
    await client.begin()
    end: StreamEnd | None = None
    while end is None:
        try:
            chunk = await remote.read()
        except (PeerAwayError, ContractError) as error:
            log.warning("stream.broken", stream=remote.name, reason=str(error))
            end = StreamEnd(failure=f"the stream broke: {error}")
            break
        if chunk.out:
            await client.send(Channel.STDOUT, chunk.out)
        if chunk.err:
            await client.send(Channel.STDERR, chunk.err)
        end = chunk.end
    await client.finish(end)


async def _input(client: CommandClient, remote: Remote) -> None:
    """Pass on what the client writes, as long as anybody wants it; then drop it."""
    wanted = True
    while True:
        data = await client.stdin()
        try:
            if wanted:
                wanted = await remote.write(data or b"", end=data is None)
        except (PeerAwayError, ContractError) as error:
            log.warning("stream.broken", stream=remote.name, reason=str(error))
            wanted = False


async def endless(side: Coroutine[None, None, None]) -> None:
    """An end of this side alone is none of the whole."""
    await side
    await asyncio.Event().wait()
