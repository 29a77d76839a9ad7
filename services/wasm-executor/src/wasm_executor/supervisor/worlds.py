"""What the processes of a run see of files: the folder of its last words, and its mounts."""

import asyncio

from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.supervisor.lastwords import LastWords
from wasm_executor.volumes.volumes import Volumes


class Worlds:
    """Made for a run by its start; found again by whatever runs beside it."""

    def __init__(self, last_words: LastWords, volumes: Volumes) -> None:
        self._last_words = last_words
        self._volumes = volumes

    async def make(self, plan: PodPlan, container: ContainerPlan, run: int) -> tuple[Preopen, ...]:
        """Make what a run needs; raise `ContainerMountError`."""
        words = self._last_words.prepare(plan.uid, container, run)
        if not container.mounts:
            return words  # on the way of most starts
        return await asyncio.to_thread(self._volumes.preopens, plan, container, run, words)

    def find(self, plan: PodPlan, container: ContainerPlan, run: int) -> tuple[Preopen, ...]:
        """Return what a run was given."""
        words = self._last_words.preopens(plan.uid, container, run)
        return self._volumes.preopens(plan, container, run, words)
