"""What of a container must survive its supervisor."""

from wasm_executor.domain.checkpoint import ContainerRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.states import ALIVE, UNDERWAY


def record_of(container: Container) -> ContainerRecord:
    """Write it down."""
    history = container.history
    return ContainerRecord(
        name=container.plan.name,
        run=history.run,
        image=history.image,
        underway=container.phase in UNDERWAY,
        ended=container.over,
        due=container.due,
        started_at=history.started_at,
        latest_end=history.latest_end,
        previous_end=history.previous_end,
        crash=container.retries.crash,
        crash_over_mono=container.retries.crash_over_mono,
        begun_mono=container.health.begun_at if container.phase in ALIVE else None,
        image_id=history.image_id,
        mounted=history.mounted,
        started=container.health.started,
        ready=container.health.ready,
    )
