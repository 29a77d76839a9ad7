"""Container statuses as the kubelet writes them, from a report and from what the API last held.

Restart counts never shrink, a container that ended for good never waits again (the API server
would refuse the whole status), and what a report leaves out comes from the last status.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from contract.messages.pod import ContainerRole
from contract.messages.report import (
    ContainerReport,
    ContainerState,
    PodReported,
    Running,
    Terminated,
    Waiting,
)
from pod_reconciler.domain.pod import Json, PlacedContainer, Pod
from pod_reconciler.domain.restarting import could_restart_all, restarts
from pod_reconciler.domain.times import UNKNOWN_TIME, api_time, api_time_or_null

MESSAGE_BYTES_PER_POD: Final = 12 * 1024
KILLED: Final = 137
CONTAINER_CREATING: Final = "ContainerCreating"
POD_INITIALIZING: Final = "PodInitializing"
CONFIG_ERROR: Final = "CreateContainerConfigError"
STATUS_UNKNOWN: Final = "ContainerStatusUnknown"
LOST_MESSAGE: Final = "The container could not be located when the pod was terminated"
DISAPPEARED_MESSAGE: Final = (
    "The container could not be located when the pod was deleted.  The container used to be Running"
)


class Statuses(msgspec.Struct, frozen=True, kw_only=True):
    """The statuses of a pod: init ones in the spec's order, the others by name."""

    init: tuple[Json, ...] = ()
    app: tuple[Json, ...] = ()
    ephemeral: tuple[Json, ...] = ()

    def of(self, name: str) -> Json:
        """The status of an init or app container: each has one."""
        return next(each for each in (*self.init, *self.app) if each["name"] == name)

    def fields(self) -> Json:
        """As they stand in a pod's status; the API server leaves out what is empty."""
        told = {
            "initContainerStatuses": list(self.init),
            "containerStatuses": list(self.app),
            "ephemeralContainerStatuses": list(self.ephemeral),
        }
        return {
            field: statuses
            for field, statuses in told.items()
            if statuses or field == "containerStatuses"
        }


def container_statuses(
    pod: Pod, report: PodReported, withheld: Mapping[str, str] | None = None
) -> Statuses:
    """The status of each container of the spec. `withheld` ones are not run, for a reason."""
    told = dict(_told(pod, report, withheld or {}))

    def of(*roles: ContainerRole) -> list[Json]:
        return [told[each.container.name] for each in pod.spec.placed() if each.role in roles]

    return Statuses(
        init=tuple(of(ContainerRole.INIT, ContainerRole.SIDECAR)),
        app=tuple(sorted(of(ContainerRole.APP), key=_name)),
        ephemeral=tuple(sorted(of(ContainerRole.EPHEMERAL), key=_name)),
    )


def as_lost(status: Json) -> Json:
    """A container that must have ended, though nobody saw how."""
    if "terminated" in status["state"]:
        return status
    terminated = terminated_json(KILLED, STATUS_UNKNOWN, LOST_MESSAGE)
    return {**status, "state": {"terminated": terminated}, "ready": False, "started": False}


def _told(pod: Pod, report: PodReported, withheld: Mapping[str, str]) -> Iterator[tuple[str, Json]]:
    before = pod.statuses_before()
    reports: dict[str, ContainerReport] = {each.name: each for each in report.containers}
    placed = list(pod.spec.placed())
    teller = _Teller(
        pod=pod,
        stopped=report.stopped,
        waiting_reason=POD_INITIALIZING if pod.spec.init_containers else CONTAINER_CREATING,
        all_may_restart=could_restart_all(pod.spec),
        message_bytes=MESSAGE_BYTES_PER_POD // max(1, len(placed)),
    )
    for each in placed:
        name = each.container.name
        known = before.get(name, {})
        status = teller.tell(each, known, reports.get(name))
        if name in withheld and "waiting" in status["state"]:
            state = {"waiting": {"reason": CONFIG_ERROR, "message": withheld[name]}}
            status = {**status, "state": state}
        yield name, status


def _name(status: Json) -> str:
    return str(status["name"])


class _Teller(msgspec.Struct, frozen=True, kw_only=True):
    """Tells the statuses of one pod's containers, `before` being what the API shows of each."""

    pod: Pod
    stopped: bool
    waiting_reason: str
    all_may_restart: bool
    message_bytes: int

    def tell(self, placed: PlacedContainer, before: Json, report: ContainerReport | None) -> Json:
        if report is None:
            return self._unreported(placed, before)
        status = self._reported(placed, before, report)
        return before if self._leaves_its_end(placed, before, status) else status

    def _unreported(self, placed: PlacedContainer, before: Json) -> Json:
        """Not started yet, as far as anybody knows; or ended, as the API knows."""
        state, last = before.get("state", {}), before.get("lastState", {})
        if "terminated" in state:
            return before
        restart_count = before.get("restartCount", 0)
        if "running" in state and "terminated" not in last:
            # It must not look as if it had never run: that would put the pod back to Pending.
            last = {"terminated": terminated_json(KILLED, STATUS_UNKNOWN, DISAPPEARED_MESSAGE)}
            restart_count += self.pod.metadata.deletion_timestamp is None
        status: Json = {
            "name": placed.container.name,
            "state": {"waiting": {"reason": self.waiting_reason}},
            "lastState": last,
            "ready": False,
            "restartCount": restart_count,
            "image": placed.container.image,
            "imageID": "",
        }
        return status | _started(placed.role, started=False)

    def _reported(self, placed: PlacedContainer, before: Json, report: ContainerReport) -> Json:
        state, last = _settled(report) if self.stopped else (report.state, report.last_state)
        runs = isinstance(state, Running)
        status: Json = {
            "name": placed.container.name,
            "state": self._state(state),
            "lastState": self._state(last) if last else _last_before(before, report, state),
            "ready": _is_ready(placed.role, state, report),
            "restartCount": _restart_count(before, report),
            "image": report.image or placed.container.image,
            "imageID": report.image_id,
            **_started(placed.role, started=runs and report.started),
        }
        # Neither `resources` nor `allocatedResources`: by that the API server knows that this node
        # resizes no running pod, and says so to whoever asks for it.
        if report.container_id:
            status["containerID"] = report.container_id
        return status

    def _state(self, state: ContainerState) -> Json:
        match state:
            case Running(started_at=moment):
                return {"running": {"startedAt": api_time(moment)}}
            case Waiting(reason=reason, message=message):
                if reason == CONTAINER_CREATING:
                    reason = self.waiting_reason
                return {"waiting": _without_empty({"reason": reason, "message": message})}
            case Terminated():
                return {"terminated": self._terminated(state)}

    def _terminated(self, state: Terminated) -> Json:
        message = state.message.encode()[: self.message_bytes].decode(errors="ignore")
        told = terminated_json(
            state.exit_code,
            state.reason,
            message,
            started_at=state.started_at,
            finished_at=state.finished_at,
        )
        # `signal` is never set, as a kubelet never does: the exit code says it.
        return told | _without_empty({"containerID": state.container_id})

    def _leaves_its_end(self, placed: PlacedContainer, before: Json, after: Json) -> bool:
        """Whether the change would bring back what ended for good: the API server refuses that."""
        ended = before.get("state", {}).get("terminated")
        if ended is None or "terminated" in after["state"]:
            return False
        if self.stopped:
            return True
        if self.all_may_restart and placed.role is not ContainerRole.EPHEMERAL:
            return False
        return not restarts(placed, self.pod.spec, ended.get("exitCode", 0))


def _settled(report: ContainerReport) -> tuple[ContainerState, Terminated | None]:
    """A stopped pod's container that waited for its next run has ended as it last did."""
    if isinstance(report.state, Waiting) and report.last_state is not None:
        return report.last_state, None
    return report.state, report.last_state


def _is_ready(role: ContainerRole, state: ContainerState, report: ContainerReport) -> bool:
    """An init container is ready when it has done its work; an ephemeral one is never."""
    match role:
        case ContainerRole.INIT:
            return isinstance(state, Terminated) and state.exit_code == 0
        case ContainerRole.EPHEMERAL:
            return False
        case _:
            return report.ready and isinstance(state, Running)


def _started(role: ContainerRole, *, started: bool) -> Json:
    """Of an ephemeral container it is not told."""
    return {} if role is ContainerRole.EPHEMERAL else {"started": started}


def _restart_count(before: Json, report: ContainerReport) -> int:
    """It never shrinks, and a run after an end that the API has seen is one more."""
    known = int(before.get("restartCount", 0))
    ran_again = isinstance(report.state, Running) and "terminated" in before.get("state", {})
    return max(report.restart_count, known + ran_again)


def _last_before(before: Json, report: ContainerReport, state: ContainerState) -> Json:
    """The end before this run, where the node has forgotten it and the API has not."""
    ended = before.get("state", {}).get("terminated")
    is_same = before.get("containerID", "") == report.container_id
    if ended is not None and not (is_same and isinstance(state, Terminated)):
        return {"terminated": ended}
    last: Json = before.get("lastState", {})
    return last


def terminated_json(
    exit_code: int,
    reason: str,
    message: str,
    *,
    started_at: datetime = UNKNOWN_TIME,
    finished_at: datetime = UNKNOWN_TIME,
) -> dict[str, Any]:
    """`terminated` of a state."""
    told: dict[str, Any] = {
        "exitCode": exit_code,
        "startedAt": api_time_or_null(started_at),
        "finishedAt": api_time_or_null(finished_at),
    }
    return told | _without_empty({"reason": reason, "message": message})


def _without_empty(fields: Json) -> Json:
    """The API server leaves out what is empty; a difference to that would never go away."""
    return {key: value for key, value in fields.items() if value}
