"""What an exit means: the reason that users read, and whether the container runs again."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from contract.messages.pod import (
    ContainerPlan,
    ContainerRole,
    PodPlan,
    RestartPolicy,
    RuleAction,
)
from contract.messages.report import Terminated
from wasm_executor.domain.inputs import RunEnded

COMPLETED: Final = "Completed"
ERROR: Final = "Error"
OOM_KILLED: Final = "OOMKilled"
START_ERROR: Final = "StartError"
STATUS_UNKNOWN: Final = "ContainerStatusUnknown"

KILLED_CODE: Final = 137
START_ERROR_CODE: Final = 128
LOST_MESSAGE: Final = "The container could not be located when the pod was terminated"


class After(StrEnum):
    """What follows on the end of a run."""

    RESTART = "restart"
    RESTART_ALL = "restart-all"
    OVER = "over"


def after(pod: PodPlan, container: ContainerPlan, exit_code: int) -> After:
    """Say what the restart rules and policies want after an exit."""
    if container.role is ContainerRole.EPHEMERAL:
        return After.OVER
    action = _ruled(container, exit_code)
    if action is RuleAction.RESTART_ALL:
        return After.RESTART_ALL
    if container.role is ContainerRole.INIT and exit_code == 0:
        return After.OVER  # what has done its work is not asked again, whatever a rule says
    restarts = action is not None or _restarts(_policy(pod, container), exit_code)
    return After.RESTART if restarts or container.role is ContainerRole.SIDECAR else After.OVER


def _ruled(container: ContainerPlan, exit_code: int) -> RuleAction | None:
    """Return what the first rule says that matches; without a policy, a container has none."""
    if container.restart_policy is None:
        return None
    rules = container.restart_rules
    return next((rule.action for rule in rules if rule.matches(exit_code)), None)


def replaces_killed(pod: PodPlan, container: ContainerPlan) -> bool:
    """Say whether a container that a probe had killed runs again: exit codes count for nothing."""
    if container.role is ContainerRole.SIDECAR:
        return True
    return _policy(pod, container) is not RestartPolicy.NEVER


def _policy(pod: PodPlan, container: ContainerPlan) -> RestartPolicy:
    return container.restart_policy or pod.restart_policy


def _restarts(policy: RestartPolicy, exit_code: int) -> bool:
    match policy:
        case RestartPolicy.ALWAYS:
            return True
        case RestartPolicy.ON_FAILURE:
            return exit_code != 0
        case RestartPolicy.NEVER:
            return False


def exit_reason(exit_code: int, *, memory_exceeded: bool) -> str:
    """Return the reason of a run that had started."""
    if memory_exceeded and exit_code == KILLED_CODE:
        return OOM_KILLED
    return COMPLETED if exit_code == 0 else ERROR


def never_ran(at: datetime) -> Terminated:
    """Return what the kubelet shows of a container whose pod ended before it had started."""
    return Terminated(
        exit_code=KILLED_CODE,
        reason=STATUS_UNKNOWN,
        started_at=at,
        finished_at=at,
        message=LOST_MESSAGE,
    )


def ended(news: RunEnded, container_id: str, memory_exceeded: bool) -> Terminated:  # noqa: FBT001 - by whoever watched it
    """Return the end of a run as it is reported."""
    reason = exit_reason(news.exit_code, memory_exceeded=memory_exceeded)
    return Terminated(
        exit_code=news.exit_code,
        reason=START_ERROR if news.refused else reason,
        started_at=news.started_at,
        finished_at=news.at,
        container_id=container_id,
        message=news.message,
        signal=news.signal,
    )


def not_started(message: str, at: datetime, container_id: str) -> Terminated:
    """Return the end of a run that the runtime refused to begin."""
    return Terminated(
        exit_code=START_ERROR_CODE,
        reason=START_ERROR,
        started_at=at,
        finished_at=at,
        container_id=container_id,
        message=message,
    )
