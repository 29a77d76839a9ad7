"""`containerStatuses` as the kubelet writes them, from a report and from what the API last held.

Restart counts never shrink, a container that ended for good never waits again (the API server
would refuse the whole status), and what a report leaves out comes from the last status.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from contract.messages.pod import RestartPolicy
from contract.messages.report import (
    ContainerReport,
    ContainerState,
    PodReported,
    Running,
    Terminated,
    Waiting,
)
from pod_reconciler.domain.pod import Container, Json, Pod
from pod_reconciler.domain.times import UNKNOWN_TIME, api_time, api_time_or_null

MESSAGE_BYTES_PER_POD: Final = 12 * 1024
KILLED: Final = 137
CONTAINER_CREATING: Final = "ContainerCreating"
STATUS_UNKNOWN: Final = "ContainerStatusUnknown"
LOST_MESSAGE: Final = "The container could not be located when the pod was terminated"


def restarts(policy: RestartPolicy, exit_code: int) -> bool:
    """Whether the restart policy starts a container again that ended so."""
    match policy:
        case RestartPolicy.ALWAYS:
            return True
        case RestartPolicy.ON_FAILURE:
            return exit_code != 0
        case RestartPolicy.NEVER:
            return False


def container_statuses(pod: Pod, report: PodReported) -> list[Json]:
    """The statuses of all containers of the spec, sorted by name."""
    before = {status["name"]: status for status in pod.status.get("containerStatuses") or ()}
    reports = {container.name: container for container in report.containers}
    budget = MESSAGE_BYTES_PER_POD // max(1, len(pod.spec.containers))
    statuses = [
        _Teller(container, before.get(container.name), budget).tell(
            reports.get(container.name),  # type: ignore[call-overload]  # both are names
            pod.spec.restart_policy,
            stopped=report.stopped,
        )
        for container in pod.spec.containers
    ]
    return sorted(statuses, key=lambda status: str(status["name"]))


def as_lost(status: Json) -> Json:
    """A container that must have ended, though nobody saw how."""
    if "terminated" in status["state"]:
        return status
    terminated = _terminated_json(KILLED, STATUS_UNKNOWN, LOST_MESSAGE)
    return {**status, "state": {"terminated": terminated}, "ready": False, "started": False}


class _Teller(msgspec.Struct, frozen=True):
    """Tells one container's status."""

    container: Container
    before: Json | None
    message_bytes: int

    def tell(self, report: ContainerReport | None, policy: RestartPolicy, *, stopped: bool) -> Json:
        status = self._unreported() if report is None else self._reported(report, stopped=stopped)
        if self.before is not None and _leaves_its_end(self.before, status, policy):
            return self.before
        return status

    def _unreported(self) -> Json:
        """Not started yet, as far as anybody knows; or ended, as the API knows."""
        before = self.before or {}
        if "terminated" in before.get("state", {}):
            return before
        return {
            "name": self.container.name,
            "state": {"waiting": {"reason": CONTAINER_CREATING}},
            "lastState": before.get("lastState", {}),
            "ready": False,
            "restartCount": before.get("restartCount", 0),
            "image": self.container.image,
            "imageID": "",
            "started": False,
        }

    def _reported(self, report: ContainerReport, *, stopped: bool) -> Json:
        before = self.before or {}
        state, last = _settled(report) if stopped else (report.state, report.last_state)
        status: Json = {
            "name": self.container.name,
            "state": self._state(state),
            "lastState": before.get("lastState", {}) if last is None else self._state(last),
            "ready": report.ready and isinstance(state, Running),
            "restartCount": max(report.restart_count, before.get("restartCount", 0)),
            "image": report.image or self.container.image,
            "imageID": report.image_id,
            "started": report.started and isinstance(state, Running),
        }
        if report.container_id:
            status["containerID"] = report.container_id
            status["resources"] = self.container.resources
            if requests := self.container.resources.get("requests"):
                status["allocatedResources"] = requests
        return status

    def _state(self, state: ContainerState) -> Json:
        match state:
            case Running(started_at=moment):
                return {"running": {"startedAt": api_time(moment)}}
            case Waiting(reason=reason, message=message):
                return {"waiting": _without_empty({"reason": reason, "message": message})}
            case Terminated():
                return {"terminated": self._terminated(state)}

    def _terminated(self, state: Terminated) -> Json:
        message = state.message.encode()[: self.message_bytes].decode(errors="ignore")
        told = _terminated_json(
            state.exit_code,
            state.reason,
            message,
            started_at=state.started_at,
            finished_at=state.finished_at,
        )
        return told | _without_empty({"signal": state.signal, "containerID": state.container_id})


def _settled(report: ContainerReport) -> tuple[ContainerState, Terminated | None]:
    """A stopped pod's container that waited for its next run has ended as it last did."""
    if isinstance(report.state, Waiting) and report.last_state is not None:
        return report.last_state, None
    return report.state, report.last_state


def _leaves_its_end(before: Json, after: Json, policy: RestartPolicy) -> bool:
    ended = before.get("state", {}).get("terminated")
    if ended is None or "terminated" in after["state"]:
        return False
    return not restarts(policy, ended.get("exitCode", 0))


def _terminated_json(
    exit_code: int,
    reason: str,
    message: str,
    *,
    started_at: datetime = UNKNOWN_TIME,
    finished_at: datetime = UNKNOWN_TIME,
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "exitCode": exit_code,
        "startedAt": api_time_or_null(started_at),
        "finishedAt": api_time_or_null(finished_at),
    }
    return told | _without_empty({"reason": reason, "message": message})


def _without_empty(fields: Json) -> Json:
    """The API server leaves out what is empty; a difference to that would never go away."""
    return {key: value for key, value in fields.items() if value}
