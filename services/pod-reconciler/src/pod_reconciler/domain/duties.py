"""What is due for a pod now: towards its node, and towards the API. Pure questions to the view.

Whoever acts asks again afterwards; so what changed meanwhile is never lost, and what is in flight
is never sent twice.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from contract.messages.report import PodReported, Waiting
from pod_reconciler.domain.container_status import CONTAINER_CREATING, POD_INITIALIZING
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView


class CommandDue(StrEnum):
    """What the executor has to be told."""

    APPLY = "apply"
    FORGET = "forget"


class WriteDue(StrEnum):
    """What the API has to be told."""

    STATUS = "status"
    REMOVE = "remove"


class Hold(msgspec.Struct, frozen=True):
    """Something is due, but not before this time."""

    until_s: float


_PLANNED: Final = frozenset({PodState.ADMITTED, PodState.ENDED, PodState.DELETING})
_WRITABLE: Final = frozenset(
    {PodState.REFUSED, PodState.ADMITTED, PodState.ENDED, PodState.DELETING, PodState.STOPPED}
)
_BOOKKEEPING: Final = frozenset({"observedGeneration"})


def command_due(view: NodeView, record: PodRecord) -> CommandDue | None:
    """What to tell the executor about this pod."""
    if not view.is_live_for(record):
        return None
    if record.state is PodState.GONE:
        return CommandDue.FORGET if view.may_be_known(record) else None
    if record.state not in _PLANNED or record.plan is None or record.refusal is not None:
        return None
    if record.state is PodState.ENDED and record.stop is None:
        return None
    if record.unsure_end is not None:
        return None
    return CommandDue.APPLY if record.plan_digest != record.acked_digest else None


def write_due(
    view: NodeView, record: PodRecord, now_s: float, creating_delay_s: float
) -> WriteDue | Hold | None:
    """What to tell the API about this pod.

    A pod that only says `ContainerCreating` is held back for a moment: a prompt start then costs
    one write. A status that is refused is held back for long, and keeps no pod that is over.
    """
    if not view.is_live_for(record) or record.pod is None or record.state not in _WRITABLE:
        return None
    is_over = record.state is PodState.STOPPED or record.outlived_shutdown or record.came_back
    was_refused = record.refused == record.changes
    if not (record.has_unwritten and record.is_known) or (is_over and was_refused):
        return WriteDue.REMOVE if is_over else None
    if was_refused and now_s < record.refused_until_s:
        return Hold(record.refused_until_s)
    until_s = record.first_seen_s + creating_delay_s
    if now_s < until_s and _is_only_creating(record):
        return Hold(until_s)
    return WriteDue.STATUS


def is_worth_writing(record: PodRecord, read_patch: Callable[[], Mapping[str, Any]]) -> bool:
    """Whether a difference justifies a write of its own.

    A deletion raises the generation; the status that shows the end will carry it.
    """
    if record.state is not PodState.DELETING:
        return True
    patch = read_patch()
    fields = set(patch) - {"conditions", "$setElementOrder/conditions"} - _BOOKKEEPING
    conditions = patch.get("conditions") or ()
    return bool(fields) or any(_says_something(record, condition) for condition in conditions)


def _says_something(record: PodRecord, condition: Mapping[str, Any]) -> bool:
    assert record.pod is not None
    for before in record.pod.status.get("conditions") or ():
        if before["type"] == condition["type"]:
            return bool(before.get("status") != condition.get("status"))
    return True


def _is_only_creating(record: PodRecord) -> bool:
    report, pod = record.report, record.pod
    if report is None or pod is None or pod.was_started:
        return False
    return _all_creating(report) and not report.stopped


def _all_creating(report: PodReported) -> bool:
    return all(
        isinstance(container.state, Waiting)
        and container.state.reason in (CONTAINER_CREATING, POD_INITIALIZING)
        and container.last_state is None
        for container in report.containers
    )
