"""What is left of a pod that nobody will ask for again, and how it goes."""

import asyncio
import shutil

import structlog

from contract.ids import PodUid
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.runs import pod_log_folder
from wasm_executor.volumes.removing import at_leisure

log = structlog.get_logger()


class Clearing:
    """Of one node's pods."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._going: dict[PodUid, asyncio.Event] = {}

    def is_under_way(self, uid: PodUid) -> bool:
        """Say whether all that there is of a pod is being removed: what comes now goes with it."""
        return uid in self._going

    async def clear(self, uid: PodUid) -> None:
        """Remove a pod's traces. Who asks again meanwhile waits for that and removes nothing."""
        going = self._going.get(uid)
        if going is not None:
            await going.wait()
            return
        done = self._going[uid] = asyncio.Event()
        try:
            await self._remove(uid)
        finally:
            del self._going[uid]
            done.set()

    async def _remove(self, uid: PodUid) -> None:
        """Its record goes last: a supervisor that dies here lists it again."""
        node = self._node
        record = node.checkpoint.records.get(uid)
        node.plans.drop(uid)
        if record is not None:
            folder = pod_log_folder(node.settings.log_root, record)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await at_leisure(node.last_words.drop, uid)
        await node.volumes.drop(uid)
        node.checkpoint.drop(uid)
        log.info("pod.forgotten", pod_uid=uid)
