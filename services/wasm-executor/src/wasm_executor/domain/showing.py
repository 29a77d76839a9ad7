"""A container in the terms of `containerStatuses`."""

from contract.messages.report import (
    ContainerReport,
    ContainerState,
    Running,
    Terminated,
)
from wasm_executor.domain.container import Container
from wasm_executor.domain.pause import CREATING
from wasm_executor.domain.states import ALIVE, SHOWS, Form


def show(container: Container) -> ContainerReport:
    """Return what this container's state looks like from outside."""
    state, last_state = _states(container)
    alive = container.phase in ALIVE
    return ContainerReport(
        name=container.plan.name,
        state=state,
        last_state=last_state,
        restart_count=container.history.restart_count,
        container_id=container.history.shown_id,
        image=container.plan.image,
        image_id=container.history.image_id,
        ready=alive,
        started=alive,
    )


def _states(container: Container) -> tuple[ContainerState, Terminated | None]:
    history, waiting = container.history, container.pause.shown
    form = SHOWS[container.phase]
    if form is Form.RUNNING:
        assert history.started_at is not None
        return Running(started_at=history.started_at), history.latest_end
    if history.latest_end is not None and (form is Form.TERMINATED or waiting is None):
        return history.latest_end, history.previous_end
    return waiting or CREATING, history.latest_end
