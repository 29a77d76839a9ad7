"""The phase of a pod: the kubelet's rules, over the statuses that are going to be written."""

from collections.abc import Sequence
from enum import StrEnum

from contract.messages.pod import RestartPolicy
from pod_reconciler.domain.container_status import restarts
from pod_reconciler.domain.pod import Json


class Phase(StrEnum):
    """`status.phase`."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


def phase_of(statuses: Sequence[Json], policy: RestartPolicy, *, stopped: bool) -> Phase:
    """The first rule that matches wins. `stopped` means that nothing will run again."""
    if any(_never_ran(status) for status in statuses):
        return Phase.PENDING
    if any("running" in status["state"] for status in statuses):
        return Phase.RUNNING
    if not statuses:
        return Phase.PENDING
    if not stopped and any(restarts(policy, _last_exit_code(status)) for status in statuses):
        return Phase.RUNNING
    return Phase.SUCCEEDED if all(map(_succeeded, statuses)) else Phase.FAILED


def _never_ran(status: Json) -> bool:
    return "waiting" in status["state"] and "terminated" not in status["lastState"]


def _succeeded(status: Json) -> bool:
    terminated = status["state"].get("terminated")
    return terminated is not None and terminated["exitCode"] == 0


def _last_exit_code(status: Json) -> int:
    state = status["state"] if "terminated" in status["state"] else status["lastState"]
    return int(state["terminated"]["exitCode"])
