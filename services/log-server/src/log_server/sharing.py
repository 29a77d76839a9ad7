"""The same question, asked by many at once, is put once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class Shared[K: Hashable, V]:
    """Questions under way. Whoever asks meanwhile gets the same answer, or the same failure."""

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Future[V]] = {}

    async def ask(self, key: K, question: Callable[[], Awaitable[V]]) -> V:
        """Return the answer of the question under way with this key, or put it."""
        while (running := self._running.get(key)) is not None:
            await asyncio.wait([running])
            if not running.cancelled():
                return running.result()
        running = asyncio.get_running_loop().create_future()
        self._running[key] = running
        try:
            running.set_result(await question())
        except BaseException as error:
            # The first asker has gone: another one asks again.
            if isinstance(error, asyncio.CancelledError):
                running.cancel()
            else:
                running.set_exception(error)
                running.exception()  # looked at, so that nobody warns when nobody waited
            raise
        finally:
            del self._running[key]
        return running.result()
