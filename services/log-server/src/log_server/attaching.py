"""A container to which a client attaches: its log as it grows, and its stdin.

It looks to a session as the stream of a command does. What was said before is not shown, as a
kubelet shows none of it.
"""

import asyncio

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.stream import StreamChunk, StreamEnd, StreamOpened
from log_server.bus import LogReading, Peers
from log_server.domain.crilines import outputs
from log_server.domain.linediscipline import LineDiscipline
from log_server.domain.remotecommand import CommandOptions
from log_server.errors import PeerAwayError
from log_server.remote import RemoteStream


class Attached:
    """One attached client; made from the answer to his `AttachOpen`."""

    def __init__(
        self,
        peers: Peers,
        node: NodeName,
        remote: RemoteStream,
        opened: StreamOpened,
        options: CommandOptions,
    ) -> None:
        self.name = remote.name
        self._peers = peers
        self._node = node
        self._remote = remote
        self._cursor = opened.cursor
        self._options = options
        self._terminal = LineDiscipline() if opened.tty else None
        self._chunks: asyncio.Queue[StreamChunk] = asyncio.Queue(1)

    async def read(self) -> StreamChunk:
        """Return what is said next, or what the terminal echoes."""
        return await self._chunks.get()

    async def write(self, data: bytes, *, end: bool = False) -> bool:
        """Write to its stdin, as far as it has one; say whether it wants more."""
        if not self._options.stdin:
            return False
        if self._terminal is not None:
            typed = self._terminal.typed(data)
            if typed.echo:
                await self._chunks.put(StreamChunk(out=typed.echo))
            if typed.interrupted:  # no signal reaches a guest, and a raw keyboard has no other way
                await self._chunks.put(StreamChunk(end=StreamEnd()))
                return False
            data, end = typed.read, end or typed.ended
            if not data and not end:
                return True
        return await self._remote.write(data, end=end)

    async def keep(self) -> None:
        """Follow its log, and hold its stdin, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="attach-log")
            if self._options.stdin:
                tasks.create_task(self._remote.keep(), name="attach-keep")
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Let go of it."""
        if self._options.stdin:
            await self._remote.close()

    async def _follow(self) -> None:
        end: StreamEnd | None = None
        while end is None:
            try:
                reading = LogReading(cursor=self._cursor, follow=True)
                chunk = await self._peers.read_log(self._node, reading)
            except (PeerAwayError, ContractError) as error:
                end = StreamEnd(failure=str(error))
                await self._chunks.put(StreamChunk(end=end))
                return
            self._cursor = chunk.cursor
            end = StreamEnd() if chunk.end else None
            await self._chunks.put(self._shown(chunk.data, end))

    def _shown(self, data: bytes, end: StreamEnd | None) -> StreamChunk:
        out, err = outputs(data)
        if self._terminal is not None:
            out, err = self._terminal.printed(out + err), b""
        return StreamChunk(
            out=out if self._options.stdout else b"",
            err=err if self._options.stderr else b"",
            end=end,
        )
