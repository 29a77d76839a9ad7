"""A container in the terms of `containerStatuses`."""

from contract.messages.report import (
    ContainerReport,
    ContainerState,
    Running,
    Terminated,
)
from wasm_executor.domain.container import CREATING, Container
from wasm_executor.domain.states import ALIVE, SHOWS, Form


def show(container: Container) -> ContainerReport:
    """Return what this container's state looks like from outside."""
    state, last_state = _states(container)
    alive = container.phase in ALIVE
    return ContainerReport(
        name=container.plan.name,
        state=state,
        last_state=last_state,
        restart_count=max(0, container.shown_run),
        container_id=container.id,
        image=container.plan.image,
        image_id=container.image_id,
        ready=alive,
        started=alive,
    )


def _states(container: Container) -> tuple[ContainerState, Terminated | None]:
    form = SHOWS[container.phase]
    if form is Form.RUNNING:
        assert container.started_at is not None
        return Running(started_at=container.started_at), container.latest_end
    if container.latest_end is not None and (form is Form.TERMINATED or container.waiting is None):
        return container.latest_end, container.previous_end
    return container.waiting or CREATING, container.latest_end
