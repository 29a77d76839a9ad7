"""The trace of a pod's start as its node sees it, from its plan's arrival to the first report that
every container has begun. It is in memory alone: a supervisor that takes a pod over goes without.
"""

import time
from contextlib import AbstractContextManager
from typing import Final

from contract.ids import NodeName
from contract.messages.pod import ContainerRole, PodPlan
from servicekit.tracing import NO_SPAN, Span, step
from wasm_executor.domain.pod import Pod

PATIENCE_S: Final = 600.0
"""A start that takes longer is told as far as it came, so that it can be seen at all."""


class PodStart:
    """Begins as a step of the command that brought the plan; without one it is nobody's."""

    def __init__(self, plan: PodPlan, node: NodeName) -> None:
        attributes = {
            "k8s.pod.name": plan.name,
            "k8s.namespace.name": plan.namespace,
            "k8s.pod.uid": plan.uid,
            "k8s.node.name": node,
        }
        self._span: Span = step("pod.run", attributes, kind="consumer")
        self._until_s = time.monotonic() + PATIENCE_S

    def here(self) -> AbstractContextManager[Span]:
        """Let what a turn of the pod causes be steps of its start, while that is under way."""
        return self._span.here()

    def reported(self, pod: Pod) -> None:
        """Whoever asked for the pod has been told how it is."""
        if self._span is NO_SPAN:
            return
        if _has_begun(pod):
            self.leave("")
        elif pod.stopped:
            self.leave("Abandoned")
        elif self._until_s < time.monotonic():
            self.leave("NotStartedInTime")

    def leave(self, failure: str) -> None:
        """It is over."""
        if failure:
            self._span.failed(failure)
        self._span.end()
        self._span = NO_SPAN


def _has_begun(pod: Pod) -> bool:
    apps = (each for each in pod.containers if each.plan.role is ContainerRole.APP)
    return all(each.history.shown_run >= 0 for each in apps)
