"""Pods whose plan is lost while their containers run: they go on, and wait for it.

The checkpoint knows them, the inventory lists them with an empty digest, and the reconciler sends
their plans again or says that they are gone. Until then their ends are written down, and the
keeper's rows stay: should the disk be full too, they still tell the next supervisor.
"""

import asyncio
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from contract.ids import PodUid
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.restoring import Present
from wasm_executor.domain.unplanned import ended_without_plan
from wasm_executor.keeper.errors import KeeperError
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.runs import RunKey

log = structlog.get_logger()

KILL_S: Final = 2.0
"""How long a killed process may take to be gone."""

type Runs = dict[RunKey, Present]


class Planless:
    """The runs of pods that have a record and no plan."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pods: dict[PodUid, Runs] = {}
        self._news = asyncio.Event()

    def uids(self) -> tuple[PodUid, ...]:
        return tuple(self._pods)

    def alive(self, uids: Sequence[PodUid]) -> list[RunKey]:
        return [
            key for uid in uids for key, run in self._pods.get(uid, {}).items() if run.end is None
        ]

    def running(self) -> int:
        """Return how many of these pods have a running container."""
        return sum(any(each.end is None for each in runs.values()) for runs in self._pods.values())

    def take(self, uid: PodUid, runs: Iterable[Present]) -> None:
        """Watch over a pod's runs until its plan comes."""
        pod = self._pods.setdefault(uid, {})
        for each in runs:
            key = RunKey(uid, each.container, each.run)
            log.warning("run.without_plan", key=str(key), alive=each.end is None)
            pod[key] = each
            self._keep_end(uid, each)

    def give(self, uid: PodUid) -> tuple[Present, ...]:
        """Return a pod's runs to whoever has its plan now."""
        return tuple(self._pods.pop(uid, {}).values())

    def hear(self, key: RunKey, end: RunEnded) -> bool:
        """Take the end of a run; False if it is none of these."""
        runs = self._pods.get(key.uid, {})
        if key not in runs:
            return False
        log.info("run.ended_without_plan", key=str(key), exit_code=end.exit_code)
        runs[key] = msgspec.structs.replace(runs[key], end=end)
        self._keep_end(key.uid, runs[key])
        self._news.set()
        return True

    def _keep_end(self, uid: PodUid, run: Present) -> None:
        record = self._node.checkpoint.records.get(uid)
        if record is not None:
            self._node.checkpoint.keep(ended_without_plan(record, run, self._node.rules))

    # Ending

    async def end(self, uids: Sequence[PodUid], grace_s: float) -> None:
        """End what runs of these pods within a grace, and drop it from the keeper's table."""
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_S)):
            for key in self.alive(uids):
                with suppress(KeeperError):
                    await self._node.keeper.signal(str(key), number)
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._all_ended(uids)
        for uid in uids:
            for run in self.give(uid):
                await end_stray(self._node, uid, run)

    async def _all_ended(self, uids: Sequence[PodUid]) -> None:
        while self.alive(uids):
            self._news.clear()
            await self._news.wait()


async def end_stray(node: Node, uid: PodUid, run: Present) -> None:
    """Forget a run that is accounted for; kill one that is nobody's: its end comes later."""
    key = str(RunKey(uid, run.container, run.run))
    with suppress(KeeperError):
        if run.end is None:
            log.warning("run.stray", key=key)
            await node.keeper.signal(key, signal.SIGKILL)
        else:
            await node.keeper.forget(key)
