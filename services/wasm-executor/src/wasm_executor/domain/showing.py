"""A container in the terms of `containerStatuses`."""

from contract.messages.pod import ContainerRole
from contract.messages.report import (
    ContainerReport,
    ContainerState,
    Running,
    Terminated,
)
from wasm_executor.domain.container import Container
from wasm_executor.domain.pause import first_waiting
from wasm_executor.domain.states import SHOWS, Form


def show(container: Container) -> ContainerReport:
    """Return what this container's state looks like from outside."""
    state, last_state = _states(container)
    is_init = container.plan.role is ContainerRole.INIT
    return ContainerReport(
        name=container.plan.name,
        state=state,
        last_state=last_state,
        restart_count=container.history.restart_count,
        container_id=container.history.shown_id,
        image=container.plan.image,
        image_id=container.history.image_id,
        ready=container.succeeded if is_init else container.health.ready,
        started=container.health.started,
    )


def _states(container: Container) -> tuple[ContainerState, Terminated | None]:
    history, waiting = container.history, container.pause.shown
    form = SHOWS[container.phase]
    if form is Form.RUNNING and history.is_shown:
        assert history.started_at is not None
        return Running(started_at=history.started_at), history.latest_end
    if history.latest_end is not None and (form is Form.TERMINATED or waiting is None):
        return history.latest_end, history.previous_end
    return waiting or first_waiting(container.frame.plan), history.latest_end
