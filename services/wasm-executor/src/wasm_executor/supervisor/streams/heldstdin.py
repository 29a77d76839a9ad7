"""Writing to the stdin of a container, which its keeper holds.

It takes whole pieces or nothing, so a guest that does not read is asked again now and then. Where
the container wants its stdin once, the end of the first writer is its end of file.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from wasm_executor.keeper.client import KeeperClient
from wasm_executor.keeper.errors import KeeperError, StdinFullError
from wasm_executor.keeper.protocol import STDIN_PIECE

RETRY_S: Final = 0.02


class HeldStdin:
    """One writer; the offset counts from his first byte."""

    def __init__(
        self, keeper: KeeperClient, key: str, ended: Callable[[], Awaitable[None]] | None
    ) -> None:
        self.offset = 0
        self.closed = False
        self._keeper = keeper
        self._key = key
        self._ended = ended
        """What follows on the end of what is written; None: nothing does."""
        self._turn = asyncio.Lock()

    async def take(self, offset: int, data: bytes, wait_s: float, *, end: bool) -> None:
        """Take what is new of these bytes, as far as the guest reads within the wait."""
        async with self._turn:
            if self.closed or offset > self.offset:
                return
            fresh = data[self.offset - offset :]
            try:
                await self._write(fresh, time.monotonic() + wait_s)
            except KeeperError:
                self.closed = True
            if end and self.offset >= offset + len(data):
                await self._finish()

    def close(self) -> None:
        """Write nothing more."""
        self.closed = True

    async def _write(self, fresh: bytes, until: float) -> None:
        while fresh and time.monotonic() < until:
            piece, rest = fresh[:STDIN_PIECE], fresh[STDIN_PIECE:]
            try:
                await self._keeper.write_stdin(self._key, piece)
            except StdinFullError:
                await asyncio.sleep(RETRY_S)
            else:
                self.offset += len(piece)
                fresh = rest

    async def _finish(self) -> None:
        self.closed = True
        if self._ended is not None:
            await self._ended()
