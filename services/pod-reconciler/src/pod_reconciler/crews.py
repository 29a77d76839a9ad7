"""Tasks of a group that can be ended without the others: those of one node."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol


class Tasks(Protocol):
    """Where tasks are made. Raises `RuntimeError` once they end."""

    def create_task(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> asyncio.Task[None]:
        """Do this beside everything else."""
        ...


class Crew:
    """Tasks of `group` that end with it, or before."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._own: set[asyncio.Task[None]] = set()
        self._has_ended = False

    def create_task(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> asyncio.Task[None]:
        """As that of the group, which it fails as well if it fails."""
        if self._has_ended:
            raise RuntimeError(f"no task {name}: these have ended")
        task = self._group.create_task(coro, name=name)
        self._own.add(task)
        task.add_done_callback(self._own.discard)
        return task

    async def end(self) -> None:
        """Cancel them; returns when none is left. To be called by none of them."""
        self._has_ended = True
        own = tuple(self._own)
        for task in own:
            task.cancel()
        if own:
            await asyncio.wait(own)
