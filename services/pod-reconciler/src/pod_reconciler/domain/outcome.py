"""What became of static pods, for whoever started them: the content of the status file."""

from collections.abc import Iterable, Sequence

import msgspec

from pod_reconciler.domain.pod import Json, Pod


class ContainerOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One container. `state` is waiting, running or terminated."""

    name: str
    state: str
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    restart_count: int = 0


class PodOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One pod."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    reason: str = ""
    message: str = ""
    containers: tuple[ContainerOutcome, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All static pods. `ready`: the folder was read and a node has taken each pod on, or refused.

    `errors` has a line for each manifest that cannot be used.
    """

    ready: bool
    pods: tuple[PodOutcome, ...] = ()
    errors: tuple[str, ...] = ()


def outcome_of(pods: Iterable[Pod], errors: Sequence[str], *, loaded: bool) -> Outcome:
    """Sum up."""
    listed = sorted(pods, key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
    return Outcome(
        ready=loaded and all(pod.was_started for pod in listed),
        pods=tuple(_pod_outcome(pod) for pod in listed),
        errors=tuple(errors),
    )


def container_outcomes(status: Json) -> tuple[ContainerOutcome, ...]:
    """The containers of a status."""
    return tuple(_container_outcome(each) for each in status.get("containerStatuses") or ())


def _pod_outcome(pod: Pod) -> PodOutcome:
    status = pod.status
    return PodOutcome(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=pod.spec.node_name,
        phase=pod.phase or "Pending",
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        containers=container_outcomes(status),
    )


def _container_outcome(status: Json) -> ContainerOutcome:
    state, detail = next(iter(status["state"].items()))
    return ContainerOutcome(
        name=status["name"],
        state=state,
        exit_code=detail.get("exitCode"),
        reason=detail.get("reason", ""),
        message=detail.get("message", ""),
        restart_count=status["restartCount"],
    )
