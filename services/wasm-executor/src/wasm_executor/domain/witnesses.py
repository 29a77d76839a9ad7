"""A pod's past where no record of it is left: what the keeper's table or the API's status tells."""

from collections.abc import Sequence
from typing import Final

import msgspec

from contract.messages.pod import PodPlan
from contract.messages.report import ContainerReport, Running, Terminated, Waiting
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.restoring import Present

NO_LIFE: Final = -1
"""The start count of a record that no keeper of ours wrote."""
NO_RUN: Final = -1
"""Of a container that never began."""


def new_record(plan: PodPlan, life: int, now: Moment) -> PodRecord:
    """Return the past of a pod that has none."""
    return PodRecord(
        uid=plan.uid,
        namespace=plan.namespace,
        name=plan.name,
        started_at=now.wall,
        start_count=life,
        containers=(),
    )


def record_of_status(plan: PodPlan, status: Sequence[ContainerReport], now: Moment) -> PodRecord:
    """Return the past that the API server's last status tells."""
    containers = tuple(_past_of(each) for each in status)
    return msgspec.structs.replace(new_record(plan, NO_LIFE, now), containers=containers)


def _past_of(report: ContainerReport) -> ContainerRecord:
    state = report.state
    ended = isinstance(state, Terminated)
    began = not isinstance(state, Waiting) or report.last_state is not None
    return ContainerRecord(
        name=report.name,
        run=report.restart_count if began else NO_RUN,
        underway=isinstance(state, Running),
        started_at=state.started_at if isinstance(state, Running) else None,
        latest_end=state if isinstance(state, Terminated) else report.last_state,
        previous_end=report.last_state if ended else None,
        image_id=report.image_id,
        started=report.started,
        ready=report.ready,
    )


def is_ahead(told: PodRecord, record: PodRecord) -> bool:
    """Say whether the status tells of a run that our record does not know.

    Then another executor has had the pod since, and what we remember of it is over.
    """
    known = {each.name: each.run for each in record.containers}
    return any(each.run > known.get(each.name, NO_RUN) for each in told.containers)


def record_of_present(
    plan: PodPlan, present: Sequence[Present], life: int, now: Moment
) -> PodRecord:
    """Return the past that the keeper's table alone tells, where no record is left."""
    latest = {each.container: each for each in sorted(present, key=lambda each: each.run)}
    return PodRecord(
        uid=plan.uid,
        namespace=plan.namespace,
        name=plan.name,
        started_at=min((each.started_at for each in present), default=now.wall),
        start_count=life,
        containers=tuple(
            ContainerRecord(
                name=each.container, run=each.run, underway=True, started_at=each.started_at
            )
            for each in latest.values()
        ),
    )
