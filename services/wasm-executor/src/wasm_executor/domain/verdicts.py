"""What an exit means: the reason that users read, and whether the container runs again."""

from datetime import datetime
from typing import Final

from contract.messages.pod import RestartPolicy
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


def runs_again(policy: RestartPolicy, exit_code: int) -> bool:
    """Say whether the pod's restart policy starts a container again after this exit code."""
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
