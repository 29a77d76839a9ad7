"""The phase of a pod: the kubelet's rules, over the statuses that are going to be written.

Ephemeral containers are of no account. Sidecars keep no pod from ending.
"""

from enum import StrEnum

from contract.messages.pod import ContainerRole
from pod_reconciler.domain.container_status import Statuses
from pod_reconciler.domain.pod import Json, PlacedContainer, Spec
from pod_reconciler.domain.restarting import restarts_after


class Phase(StrEnum):
    """`status.phase`."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


type _Placed = tuple[PlacedContainer, Json]


def phase_of(spec: Spec, statuses: Statuses, *, stopped: bool, restarting: bool = False) -> Phase:
    """The first rule that matches wins.

    `stopped` means that nothing will run again, `restarting` that all containers begin anew.
    """
    told = [
        (placed, statuses.of(placed.container.name))
        for placed in spec.placed()
        if placed.role is not ContainerRole.EPHEMERAL
    ]
    regular = [each for each in told if each[0].role is ContainerRole.INIT]
    if any(_has_failed(each, spec) for each in regular):
        return Phase.FAILED
    sidecars = [each for each in told if each[0].role is ContainerRole.SIDECAR]
    apps = [each for each in told if each[0].role is ContainerRole.APP]
    initialized = not restarting and any(_has_run(status) for _, status in apps)
    if (
        any(_ended(status) is None for _, status in regular)
        or (not initialized and any(_is_starting(status) for _, status in sidecars))
        or any(not _has_run(status) for _, status in (*apps, *sidecars))
    ):
        return Phase.PENDING
    if any("running" in status["state"] for _, status in (*apps, *sidecars)):
        return Phase.RUNNING
    return _phase_of_ended(apps, spec, stopped=stopped)


def _phase_of_ended(apps: list[_Placed], spec: Spec, *, stopped: bool) -> Phase:
    if not apps:
        return Phase.PENDING
    if not stopped and any(_is_restarted(each, spec) for each in apps):
        return Phase.RUNNING
    succeeded = all(_has_succeeded(status) for _, status in apps)
    return Phase.SUCCEEDED if succeeded else Phase.FAILED


def _ended(status: Json) -> Json | None:
    """How a container ended that does not run now, if it ever ran."""
    state = status["state"] if "terminated" in status["state"] else status["lastState"]
    ended: Json | None = None if "running" in status["state"] else state.get("terminated")
    return ended


def _has_run(status: Json) -> bool:
    return "running" in status["state"] or _ended(status) is not None


def _is_starting(status: Json) -> bool:
    """Of a sidecar that runs, and does not count as started yet."""
    return "running" in status["state"] and not status["started"]


def _has_failed(each: _Placed, spec: Spec) -> bool:
    """Of an init container: it ended badly, and is not run again."""
    ended = _ended(each[1])
    failed = ended is not None and ended.get("exitCode", 0) != 0
    return failed and not _is_restarted(each, spec)


def _is_restarted(each: _Placed, spec: Spec) -> bool:
    placed, status = each
    ended = _ended(status)
    return ended is not None and restarts_after(placed, spec, ended)


def _has_succeeded(status: Json) -> bool:
    terminated = status["state"].get("terminated")
    return terminated is not None and terminated.get("exitCode", 0) == 0
