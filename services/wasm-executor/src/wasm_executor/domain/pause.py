"""What a container shows while it waits, and until when.

An attempt that failed shows its own reason first and its back-off afterwards, so there are two
moments: `wake_at` is the next one of them, `due_at` is when the next attempt begins.
"""

from typing import Final

from contract.messages.pod import ContainerRole, PodPlan
from contract.messages.report import Waiting
from wasm_executor.domain.backoff import go_duration
from wasm_executor.domain.moments import Moment

INIT_ROLES: Final = frozenset({ContainerRole.INIT, ContainerRole.SIDECAR})
CREATING: Final = Waiting(reason="ContainerCreating")
INITIALIZING: Final = Waiting(reason="PodInitializing")
RESTARTING_ALL: Final = Waiting(
    reason="RestartingAllContainers",
    message="The container is removed because RestartAllContainers in place",
)
CRASH_BACK_OFF: Final = "CrashLoopBackOff"
POST_START_ERROR: Final = "PostStartHookError"


def first_waiting(pod: PodPlan) -> Waiting:
    """Return what every container of a pod shows before anything has happened."""
    initializes = any(each.role in INIT_ROLES for each in pod.containers)
    return INITIALIZING if initializes else CREATING


def crash_waiting(pod: PodPlan, container: str, delay_s: float) -> Waiting:
    """Return what a container shows between a crash and its restart."""
    message = (
        f"back-off {go_duration(delay_s)} restarting failed container={container} "
        f"pod={pod.name}_{pod.namespace}({pod.uid})"
    )
    return Waiting(reason=CRASH_BACK_OFF, message=message)


def hook_waiting(failure: str) -> Waiting:
    """Return what a container shows after its postStart hook has failed, until it is told more."""
    return Waiting(reason=POST_START_ERROR, message=failure)


class Pause:
    """One container's wait. All moments are on the monotonic clock."""

    def __init__(self, shown: Waiting) -> None:
        self.shown: Waiting | None = shown
        """None shows the last end instead."""
        self.wake_at: float | None = None
        self._due_at = 0.0
        self._afterwards: Waiting | None = None

    def clear(self) -> None:
        """Show the last end, or that the container is being created; wait for nothing."""
        self.shown = self._afterwards = self.wake_at = None

    def hold(self, shown: Waiting, delay_s: float, now: Moment) -> None:
        """Show one thing for the whole wait."""
        self.shown, self._afterwards = shown, None
        self.wake_at = self._due_at = now.mono + delay_s

    def hold_then(
        self, shown: Waiting, afterwards: Waiting, shown_s: float, delay_s: float, now: Moment
    ) -> None:
        """Show one thing first and another for the rest of the wait."""
        self.hold(shown, delay_s, now)
        if shown_s < delay_s:
            self._afterwards = afterwards
            self.wake_at = now.mono + shown_s

    def is_due(self, now: Moment) -> bool:
        return self._afterwards is None or now.mono >= self._due_at

    def show_afterwards(self) -> None:
        self.shown, self._afterwards = self._afterwards, None
        self.wake_at = self._due_at
