"""The statuses of a pod whose containers are all dead: each tells of an end, or of no beginning.

What nobody saw end counts as failed, so that a pod is never told to have succeeded by mistake.
Containers that were never their turn go on waiting, as the kubelet leaves them.
"""

from collections.abc import Sequence

from pod_reconciler.domain.container_status import Statuses, as_lost
from pod_reconciler.domain.pod import Json, Spec


def terminated(spec: Spec, statuses: Statuses) -> Statuses:
    """The statuses as the last ones of their pod."""
    begun = _begun(statuses.init)
    return Statuses(
        init=(*map(as_lost, statuses.init[:begun]), *statuses.init[begun:]),
        app=tuple(map(as_lost, statuses.app)) if has_initialized(spec, statuses) else statuses.app,
        ephemeral=statuses.ephemeral,
    )


def has_initialized(spec: Spec, statuses: Statuses) -> bool:
    """Whether an app container may have run: it did, or the last init container did its work."""
    if not statuses.init or any(map(_has_run, statuses.app)):
        return True
    last = statuses.init[-1]
    if spec.init_containers[-1].is_sidecar:
        return "running" in last["state"] and bool(last.get("started"))
    return any(
        ended is not None and ended.get("exitCode", 0) == 0
        for ended in (last["state"].get("terminated"), last.get("lastState", {}).get("terminated"))
    )


def _begun(init: Sequence[Json]) -> int:
    """How many init containers have had their turn; the first has, where the pod has ended."""
    return max((place + 1 for place, status in enumerate(init) if _has_run(status)), default=1)


def _has_run(status: Json) -> bool:
    return "waiting" not in status["state"] or "terminated" in status.get("lastState", {})
