"""Graceful node shutdown: an explicit act that ends every pod of this node for good.

From then on the node takes no pods. The state belongs to this life of the executor: a supervisor
after this one stays in it, the next start of the executor ends it.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from contract.ids import PodUid
from contract.messages.pod import PodApply
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.inputs import Condemned
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.plans import ShutdownNotice
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.supervisor.pods.roster import Roster

log = structlog.get_logger()

TERMINATED: Final = Sentence(
    reason="Terminated", message="Pod was terminated in response to imminent node shutdown."
)
REFUSED: Final = Sentence(
    reason="NodeShutdown", message="Pod was rejected as the node is shutting down."
)


class Shutdown:
    """Whether the node shuts down, and what that means for its pods."""

    def __init__(self, node: Node, roster: Roster, announce: Callable[[], Awaitable[None]]) -> None:
        self._node = node
        self._roster = roster
        self._announce = announce

    @property
    def begun(self) -> bool:
        return self._notice() is not None

    def _notice(self) -> ShutdownNotice | None:
        notice = self._node.standing.shutdown
        ours = notice is not None and notice.life == self._node.identity.incarnation
        return notice if ours else None

    async def begin(self, period_s: float) -> list[PodTask]:
        """Say it, then end every pod within the period; return those that have to end.

        Said again, it can only shorten what is left.
        """
        notice, until = self._notice(), time.monotonic() + period_s
        if notice is not None:
            until = min(until, notice.until)
        life = self._node.identity.incarnation
        notice = ShutdownNotice(life=life, until=until)
        self._node.keep_standing(msgspec.structs.replace(self._node.standing, shutdown=notice))
        log.warning("node.shutting_down", pods=len(self._roster), period_s=period_s)
        await self._announce()
        self._node.tasks.create_task(self._end_planless(), name="shutdown-planless")
        return self._condemn_all()

    def resume(self) -> None:
        """Go on ending the pods of a supervisor before this one."""
        if self.begun:
            self._condemn_all()
            self._node.tasks.create_task(self._end_planless(), name="shutdown-planless")

    def is_known(self, command: PodApply) -> bool:
        """Say whether the pod has lived here, before its plan is taken."""
        uid = command.uid
        recorded = uid in self._node.checkpoint.records
        return recorded or self._roster.get(uid) is not None or bool(command.last_status)

    def meet(self, uid: PodUid, *, known: bool) -> None:
        """End a pod whose plan has just arrived; one that never lived here was refused."""
        task = self._roster.get(uid)
        if task is not None and self.begun:
            self._condemn(task, TERMINATED if known else REFUSED)

    def _condemn_all(self) -> list[PodTask]:
        living = [task for task in self._roster if not task.pod.stopped]
        for task in living:
            self._condemn(task, TERMINATED)
        return living

    def _condemn(self, task: PodTask, sentence: Sentence) -> None:
        if task.pod.stopped:
            return
        grace_s = min(task.pod.plan.termination_grace_s, self._left_s())
        task.put(Condemned(sentence=sentence, grace_s=grace_s))

    async def _end_planless(self) -> None:
        await self._roster.end_planless(self._left_s())

    def _left_s(self) -> float:
        notice = self._notice()
        return 0.0 if notice is None else max(0.0, notice.until - time.monotonic())
