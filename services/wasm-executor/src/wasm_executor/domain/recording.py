"""What of a container must survive its supervisor."""

from wasm_executor.domain.checkpoint import ContainerRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.frame import Cause
from wasm_executor.domain.states import ALIVE, UNDERWAY, Phase


def record_of(container: Container) -> ContainerRecord:
    """Write it down. What ended because the executor stops, or to begin anew, is not over."""
    history, ending = container.history, container.frame.ending
    halted = ending is not None and ending.cause is Cause.HALTED
    goes_on = halted or container.frame.restarting_all
    return ContainerRecord(
        name=container.plan.name,
        run=history.run,
        image=history.image,
        underway=container.phase in UNDERWAY,
        ended=container.phase is Phase.ENDED and not goes_on,
        due=container.due,
        started_at=history.started_at,
        latest_end=history.latest_end,
        previous_end=history.previous_end,
        crash=container.retries.crash,
        crash_over_mono=container.retries.crash_over_mono,
        begun_mono=container.health.begun_at if container.phase in ALIVE else None,
        image_id=history.image_id,
        started=container.health.started,
        ready=container.health.ready,
    )
