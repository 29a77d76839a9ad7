"""The phase of a pod: the kubelet's rules, over the statuses that are going to be written.

Ephemeral containers are of no account. Sidecars keep no pod from ending.
"""

from enum import StrEnum
from typing import NamedTuple

from contract.messages.pod import ContainerRole
from pod_reconciler.domain.container_status import Statuses
from pod_reconciler.domain.pod import Json, PlacedContainer, Spec
from pod_reconciler.domain.restarting import RESTARTING_ALL, restarts_after


class Phase(StrEnum):
    """`status.phase`."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_terminal(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


class _Told(NamedTuple):
    """A container with its status, and whether it is run again after the end that it had."""

    role: ContainerRole
    status: Json
    restarts: bool


def phase_of(spec: Spec, statuses: Statuses, *, stopped: bool, restarting: bool = False) -> Phase:
    """The first rule that matches wins.

    `stopped` means that nothing will run again, `restarting` that all containers begin anew.
    """
    told = [
        _told(placed, statuses.of(placed.container.name), spec, restarting=restarting)
        for placed in spec.placed()
        if placed.role is not ContainerRole.EPHEMERAL
    ]
    regular = [each for each in told if each.role is ContainerRole.INIT]
    if any(_has_failed(each) for each in regular):
        return Phase.FAILED
    sidecars = [each.status for each in told if each.role is ContainerRole.SIDECAR]
    apps = [each for each in told if each.role is ContainerRole.APP]
    lasting = [*(each.status for each in apps), *sidecars]
    initialized = not restarting and any(_has_begun(each.status) for each in apps)
    if (
        any(_ended(each.status) is None for each in regular)
        or (not initialized and any(map(_is_starting, sidecars)))
        or not all(map(_has_run, lasting))
    ):
        return Phase.PENDING
    if any("running" in status["state"] for status in lasting):
        return Phase.RUNNING
    return _phase_of_ended(apps, stopped=stopped)


def _told(placed: PlacedContainer, status: Json, spec: Spec, *, restarting: bool) -> _Told:
    ended = _ended(status)
    again = restarting or _begins_anew(status)
    restarts = ended is not None and (again or restarts_after(placed, spec, ended))
    return _Told(placed.role, status, restarts)


def _phase_of_ended(apps: list[_Told], *, stopped: bool) -> Phase:
    if not apps:
        return Phase.PENDING
    if not stopped and any(each.restarts for each in apps):
        return Phase.RUNNING
    succeeded = all(_has_succeeded(each.status) for each in apps)
    return Phase.SUCCEEDED if succeeded else Phase.FAILED


def _ended(status: Json) -> Json | None:
    """How a container ended that does not run now, if it ever ran."""
    state = status["state"] if "terminated" in status["state"] else status.get("lastState", {})
    ended: Json | None = None if "running" in status["state"] else state.get("terminated")
    return ended


def _has_run(status: Json) -> bool:
    return "running" in status["state"] or _ended(status) is not None


def _begins_anew(status: Json) -> bool:
    """Whether it waits for its turn in a pod of which all containers are restarted."""
    return bool(status["state"].get("waiting", {}).get("reason") == RESTARTING_ALL)


def _has_begun(status: Json) -> bool:
    """Of an app container: that it ran says that the pod is initialized, until all begin anew."""
    return _has_run(status) and not _begins_anew(status)


def _is_starting(status: Json) -> bool:
    """Of a sidecar that runs, and does not count as started yet."""
    return "running" in status["state"] and not status.get("started")


def _has_failed(each: _Told) -> bool:
    """Of an init container: it ended badly, and is not run again."""
    ended = _ended(each.status)
    return ended is not None and ended.get("exitCode", 0) != 0 and not each.restarts


def _has_succeeded(status: Json) -> bool:
    terminated = status["state"].get("terminated")
    return terminated is not None and terminated.get("exitCode", 0) == 0
