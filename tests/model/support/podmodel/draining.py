"""Graceful node shutdown, as the executor's own `Shutdown` has it: it outlives supervisors only."""

from typing import Final

from podmodel.disk import Drain
from podmodel.executor import Executor
from podmodel.livepod import LivePod
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.inputs import Condemned

TERMINATED: Final = Sentence(
    reason="Terminated", message="Pod was terminated in response to imminent node shutdown."
)
REFUSED: Final = Sentence(
    reason="NodeShutdown", message="Pod was rejected as the node is shutting down."
)


def drain(executor: Executor, period_s: float) -> None:
    """End every pod within the period; said again, it can only shorten what is left."""
    known, until = executor.disk.drain, executor.clock.mono + period_s
    if known is not None:
        until = min(until, known.until)
    executor.disk.drained = Drain(life=executor.disk.incarnation, until=until)
    executor.planless.halt()
    _condemn_all(executor)


def resume(executor: Executor) -> None:
    """Go on ending the pods of a supervisor before this one."""
    if executor.disk.drain is not None:
        executor.planless.halt()
        _condemn_all(executor)


def meet(executor: Executor, uid: str, *, known: bool) -> None:
    """End a pod whose plan has just arrived."""
    pod = executor.pods.get(uid)
    if pod is not None and executor.disk.drain is not None:
        _condemn(executor, pod, TERMINATED if known else REFUSED)


def _condemn_all(executor: Executor) -> None:
    for pod in tuple(executor.pods.values()):
        _condemn(executor, pod, TERMINATED)


def _condemn(executor: Executor, pod: LivePod, sentence: Sentence) -> None:
    drain = executor.disk.drain
    if drain is None or pod.pod.stopped:
        return
    left_s = max(0.0, drain.until - executor.clock.mono)
    grace_s = min(pod.pod.plan.termination_grace_s, left_s)
    executor.tell(pod, Condemned(sentence=sentence, grace_s=grace_s))
