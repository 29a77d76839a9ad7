"""Where the news of an end goes: to whoever waits for that one, else to whoever reads all of them.

An exec's end is told to nobody but the one that waits for it: who reads all of them knows of runs,
and an exec is none.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wasm_executor.keeper.protocol import Exit, is_exec


class Endings:
    """The ends of started containers; used in one event loop."""

    def __init__(self) -> None:
        self.exits: asyncio.Queue[Exit] = asyncio.Queue()
        self._awaited: dict[str, asyncio.Future[Exit]] = {}

    @contextmanager
    def awaited(self, key: str) -> Iterator[asyncio.Future[Exit]]:
        """Have one container's end told here, and not in `exits`."""
        ended = self._awaited[key] = asyncio.get_running_loop().create_future()
        try:
            yield ended
        finally:
            del self._awaited[key]
            ended.cancel()

    def tell(self, exit_: Exit) -> None:
        ended = self._awaited.get(exit_.key)
        if ended is not None:
            if not ended.done():
                ended.set_result(exit_)
        elif not is_exec(exit_.key):
            with suppress(asyncio.QueueShutDown):
                self.exits.put_nowait(exit_)

    def close(self, error: Exception) -> None:
        """Tell everybody that no end will be told any more."""
        self.exits.shutdown()
        for ended in self._awaited.values():
            if not ended.done():
                ended.set_exception(error)
