"""Ends pods that keep more in an emptyDir than its `sizeLimit`, in the way of a kubelet.

It looks from time to time: between two looks a volume may hold more. What nobody could look at
whole, because its guest made too many files of it or put them too deep, is over its limit too.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

import structlog

from contract.messages.pod import PodPlan
from contract.messages.volume import EmptyDir
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.inputs import Condemned
from wasm_executor.supervisor.kubeletseries import EVICTIONS
from wasm_executor.supervisor.pods.podtask import PodTask
from wasm_executor.volumes.measuring import MAX_DEPTH, MAX_ENTRIES, Usage
from wasm_executor.volumes.volumes import Volumes

log = structlog.get_logger()

EVICTED: Final = "Evicted"
EMPTY_DIR_SIGNAL: Final = "emptydirfs.limit"
GRACE_S: Final = 1.0
"""The kubelet's own for this, whatever the pod's is."""
_BINARY: Final = tuple((1 << 10 * power, unit) for power, unit in enumerate(("", *"KMGTPE")))
_DECIMAL: Final = tuple((1000**power, unit) for power, unit in enumerate(("", *"kMGTPE")))


async def evict_regularly(pods: Iterable[PodTask], volumes: Volumes, interval_s: float) -> NoReturn:
    """Look at all pods, one after another. Until cancelled."""
    while True:
        await asyncio.sleep(interval_s)
        for task in pods:
            if _has_limits(task.pod.plan) and task.pod.sentence is None and not task.pod.stopped:
                await _look(task, volumes)


async def _look(task: PodTask, volumes: Volumes) -> None:
    plan = task.pod.plan
    try:
        used = await volumes.usage(plan)
    except Exception:  # one pod's: the others are looked at all the same
        log.exception("volumes.not_measured", pod_uid=plan.uid)
        return
    message = excess(plan, used)
    if message is not None:
        log.warning("pod.evicted", pod_uid=plan.uid, message=message)
        EVICTIONS.labels(EMPTY_DIR_SIGNAL).inc()
        task.put(Condemned(sentence=Sentence(reason=EVICTED, message=message), grace_s=GRACE_S))


def excess(plan: PodPlan, used: Mapping[str, Usage]) -> str | None:
    """Return what is to be said of the first emptyDir over its limit, in the kubelet's words."""
    for volume, limit in _limits(plan):
        usage = used.get(volume)
        if usage is None or (usage.complete and usage.size_bytes <= limit):
            continue
        text = f'Usage of EmptyDir volume "{volume}" exceeds the limit "{quantity(limit)}". '
        if usage.size_bytes > limit:
            return text
        return f"{text}It has more than {MAX_ENTRIES} entries, or more than {MAX_DEPTH} levels. "
    return None


def quantity(size_bytes: int) -> str:
    """Return a size as Kubernetes writes it: in binary units where they fit, else in decimal."""
    for units, suffix in ((_BINARY, "i"), (_DECIMAL, "")):
        factor, unit = max(each for each in units if size_bytes % each[0] == 0)
        if unit:
            return f"{size_bytes // factor}{unit}{suffix}"
    return str(size_bytes)


def _has_limits(plan: PodPlan) -> bool:
    return any(True for _ in _limits(plan))


def _limits(plan: PodPlan) -> Iterable[tuple[str, int]]:
    for volume in plan.volumes:
        match volume.source:
            case EmptyDir(size_limit_bytes=limit) if limit:  # 0 is no limit
                yield volume.name, limit
