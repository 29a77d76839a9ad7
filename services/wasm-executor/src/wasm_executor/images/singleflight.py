"""One piece of work per key, however many ask for it at once.

The work belongs to the service's task group, not to whoever asked first: a caller that is
cancelled leaves the others waiting as before. When the last one has gone, the work is cancelled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class _Flight[Result]:
    def __init__(self) -> None:
        self.landed: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.waiters = 0
        self.task: asyncio.Task[None] | None = None


class SingleFlight[Key: Hashable, Result]:
    """`tasks` owns the work; its exceptions reach the callers, never the group."""

    def __init__(self, tasks: asyncio.TaskGroup, name: str) -> None:
        self._tasks = tasks
        self._name = name
        self._flights: dict[Key, _Flight[Result]] = {}

    async def do(self, key: Key, work: Callable[[], Awaitable[Result]]) -> Result:
        """Join the work under this key, or begin it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = self._tasks.create_task(self._fly(key, flight, work), name=self._name)
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.landed)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and flight.task is not None:
                self._forget(key, flight)
                flight.task.cancel()

    async def _fly(
        self, key: Key, flight: _Flight[Result], work: Callable[[], Awaitable[Result]]
    ) -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            flight.landed.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # the callers raise it, at their own boundary
            self._forget(key, flight)
            flight.landed.set_exception(error)
        else:
            self._forget(key, flight)
            flight.landed.set_result(result)

    def _forget(self, key: Key, flight: _Flight[Result]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
