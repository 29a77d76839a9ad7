"""All services of one `up`, started together and stopped in order."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from wasmlet.up.child import Child


class Children:
    """The services' own tasks: they outlive the task group's end by an orderly stop.

    They are no members of the task group, because its end would cancel them before they have
    stopped; this context owns them instead, and does not end before they have.
    """

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._runs: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._runs = [
            loop.create_task(each.run(), name=each.command.name) for each in self._children
        ]
        return self

    async def raise_when_refused(self) -> None:
        """Raise what a service refuses to start for, when one does. Run it as a task."""
        done, _ = await asyncio.wait(self._runs, return_when=asyncio.FIRST_EXCEPTION)
        for run in done:
            run.result()

    async def __aexit__(self, *_: object) -> None:
        stopping = asyncio.get_running_loop().create_task(self._stop(), name="stop")
        while not stopping.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()

    async def _stop(self) -> None:
        """Stop executors first: they give their names back through the registrar."""
        executors = [each for each in self._children if each.command.module == "wasm_executor"]
        others = [each for each in self._children if each not in executors]
        for batch in (executors, others):
            async with asyncio.TaskGroup() as tasks:
                for child in batch:
                    tasks.create_task(child.stop(), name=f"stop-{child.command.name}")
        if self._runs:
            await asyncio.wait(self._runs)
