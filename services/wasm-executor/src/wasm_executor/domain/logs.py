"""Which run's log a reader gets, or what the kubelet would tell him instead."""

from collections.abc import Sequence
from typing import Final

from contract.messages.report import Running, Terminated, Waiting
from wasm_executor.domain.checkpoint import PodRecord
from wasm_executor.domain.container import Container
from wasm_executor.domain.showing import show
from wasm_executor.domain.states import ALIVE

_PULL_TROUBLE: Final = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class NoLogError(Exception):
    """There is nothing to read; the code follows HTTP."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


def no_pod(pod: str) -> NoLogError:
    return NoLogError(404, f'pod "{pod}" does not exist')


def no_container(pod: str, container: str) -> NoLogError:
    return NoLogError(404, f'container "{container}" not found in pod "{pod}"')


def run_to_read(pod: str, container: Container, *, previous: bool) -> int:
    """Return the run whose log answers, or raise `NoLogError`."""
    shown = show(container)
    name = container.plan.name
    # The end in `state` or `last_state` belongs to the shown run, or to the one before it.
    history = container.history
    latest = history.shown_run - (container.phase in ALIVE and history.is_shown)
    in_last_state = latest - isinstance(shown.state, Terminated)
    had_earlier = shown.last_state is not None and bool(shown.last_state.container_id)
    if previous:
        if not had_earlier:
            text = f'previous terminated container "{name}" in pod "{pod}" not found'
            raise NoLogError(400, text)
        return in_last_state
    match shown.state:
        case Running():
            return container.history.shown_run
        case Terminated() if shown.state.container_id:
            return latest
        case _ if had_earlier:
            return in_last_state
        case Terminated():
            raise NoLogError(400, f'container "{name}" in pod "{pod}" is terminated')
        case Waiting():
            reason = _PULL_TROUBLE.get(shown.state.reason, shown.state.reason)
            text = f'container "{name}" in pod "{pod}" is waiting to start: {reason}'
            raise NoLogError(400, text)


def past_run_to_read(pod: PodRecord, container: str, kept: Sequence[int], *, previous: bool) -> int:
    """Return the run of a pod that an earlier life ran, from the runs that left files, in order.

    Such a pod has no plan any more: the reconciler sends none for what has ended.
    """
    past = next((each for each in pod.containers if each.name == container), None)
    if past is None:
        raise no_container(pod.name, container)
    named = f'container "{container}" in pod "{pod.name}"'
    if previous:
        if len(kept) <= 1:
            raise NoLogError(400, f"previous terminated {named} not found")
        return kept[-2]
    if kept:
        return kept[-1]
    if past.run < 0:
        raise NoLogError(400, f"{named} is {'not available' if not past.ended else 'terminated'}")
    return past.run


def past_has_ended(pod: PodRecord, container: str, run: int, life: int) -> bool:
    """Say whether a run of a pod without a plan writes nothing more: it may still go on."""
    return pod.start_count != life or not any(
        each.name == container and each.run == run and each.underway for each in pod.containers
    )


def has_ended(container: Container, run: int) -> bool:
    """Say whether a run writes nothing more."""
    return run < container.history.shown_run or (
        run == container.history.shown_run
        and not (container.phase in ALIVE and container.history.is_shown)
    )
