"""A byte stream of an executor, as its client here has it.

Each chunk is asked for by its number and each write says its offset, so that a question which is
repeated, because the bus or the executor was away, changes nothing.
"""

import asyncio
from contextlib import suppress
from typing import Final
from uuid import uuid4

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.form import Command
from contract.messages.stream import (
    StreamChunk,
    StreamClose,
    StreamOpened,
    StreamRead,
    StreamWrite,
)
from log_server.bus import Peers
from log_server.errors import PeerAwayError

KEEP_INTERVAL_S: Final = 5.0
"""The executor takes a stream that says nothing for half a minute for abandoned."""
READ_WAIT_S: Final = 2.0
"""An answer that is lost with the bus is asked for again so much later, and the bus's margin."""
WRITE_WAIT_S: Final = 2.0
"""As long as the executor waits for room."""
WRITE_BYTES: Final = 128 * 1024


def new_stream() -> str:
    """Return an id that nobody has had."""
    return uuid4().hex


class RemoteStream:
    """One stream; `open` it first, `close` it in any case."""

    def __init__(self, peers: Peers, node: NodeName) -> None:
        self.name = new_stream()
        self._peers = peers
        self._node = node
        self._number = 0
        self._offset = 0

    async def open(self, command: Command[StreamOpened]) -> StreamOpened:
        """Open it; `CommandError` has the kubelet's code and text."""
        return await self._peers.open_stream(self._node, command)

    async def read(self) -> StreamChunk:
        """Return the next chunk, or an empty one after a while."""
        command = StreamRead(
            stream=self.name,
            number=self._number,
            max_bytes=self._peers.chunk_bytes,
            wait_s=READ_WAIT_S,
        )
        chunk = await self._peers.ask_stream(self._node, command, wait_s=READ_WAIT_S)
        self._number += 1
        return chunk

    async def write(self, data: bytes, *, end: bool = False) -> bool:
        """Write all of it; say whether anybody wants more."""
        for start in range(0, len(data), WRITE_BYTES) or (0,):
            piece = data[start : start + WRITE_BYTES]
            if not await self._write(piece, end=end and start + len(piece) == len(data)):
                return False
        return True

    async def _write(self, piece: bytes, *, end: bool) -> bool:
        goal = self._offset + len(piece)
        command = StreamWrite(stream=self.name, offset=self._offset, data=piece, end=end)
        while True:
            taken = await self._peers.ask_stream(self._node, command, wait_s=WRITE_WAIT_S)
            if taken.closed:
                return False
            if taken.offset >= goal and not end:
                self._offset = goal
                return True

    async def keep(self) -> None:
        """Say now and again that somebody is there, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_INTERVAL_S)
            with suppress(PeerAwayError, ContractError):
                command = StreamWrite(stream=self.name, offset=0)
                await self._peers.ask_stream(self._node, command, wait_s=WRITE_WAIT_S)

    async def close(self) -> None:
        """End it, as far as the executor can be reached; else its lease ends it."""
        with suppress(PeerAwayError, ContractError):
            await self._peers.open_stream(self._node, StreamClose(stream=self.name))
