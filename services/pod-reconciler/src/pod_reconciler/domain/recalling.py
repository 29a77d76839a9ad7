"""Reading back from a status what an executor needs that has lost its disk.

Restart counts, the last end and the present end of each container go on from what the API holds.
"""

from contract.ids import ContainerName
from contract.messages.report import (
    ContainerReport,
    ContainerState,
    Running,
    Terminated,
    Waiting,
)
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.times import UNKNOWN_TIME, time_of


def last_status(pod: Pod) -> tuple[ContainerReport, ...]:
    """Return what the API holds of the pod's containers, of every kind, as reports."""
    return tuple(_report(status) for status in pod.statuses_before().values())


def _report(status: Json) -> ContainerReport:
    ended = (status.get("lastState") or {}).get("terminated")
    return ContainerReport(
        name=ContainerName(status["name"]),
        state=_state(status.get("state") or {}),
        last_state=None if ended is None else _terminated(ended),
        restart_count=status.get("restartCount", 0),
        container_id=status.get("containerID", ""),
        image=status.get("image", ""),
        image_id=status.get("imageID", ""),
        ready=bool(status.get("ready")),
        started=bool(status.get("started")),
    )


def _state(state: Json) -> ContainerState:
    if (ended := state.get("terminated")) is not None:
        return _terminated(ended)
    if (running := state.get("running")) is not None:
        return Running(started_at=time_of(running.get("startedAt")) or UNKNOWN_TIME)
    waiting = state.get("waiting") or {}
    return Waiting(reason=waiting.get("reason", ""), message=waiting.get("message", ""))


def _terminated(ended: Json) -> Terminated:
    return Terminated(
        exit_code=ended.get("exitCode", 0),
        reason=ended.get("reason", ""),
        started_at=time_of(ended.get("startedAt")) or UNKNOWN_TIME,
        finished_at=time_of(ended.get("finishedAt")) or UNKNOWN_TIME,
        container_id=ended.get("containerID", ""),
        message=ended.get("message", ""),
    )
