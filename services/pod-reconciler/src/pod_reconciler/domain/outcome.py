"""What became of static pods, for whoever started them: the content of the status file."""

from collections.abc import Iterable, Sequence

from contract.staticstatus import StaticContainer, StaticPod, StaticStatus
from pod_reconciler.domain.pod import STATUS_FIELDS, Json, Pod


def outcome_of(pods: Iterable[Pod], errors: Sequence[str], *, loaded: bool) -> StaticStatus:
    """Sum up."""
    listed = sorted(pods, key=lambda pod: (pod.metadata.namespace, pod.metadata.name))
    return StaticStatus(
        ready=loaded and all(pod.was_started for pod in listed),
        pods=tuple(_pod_outcome(pod) for pod in listed),
        errors=tuple(errors),
    )


def container_outcomes(status: Json) -> tuple[StaticContainer, ...]:
    """The containers of a status, as they start."""
    return tuple(
        _container_outcome(each) for field in STATUS_FIELDS for each in status.get(field) or ()
    )


def _pod_outcome(pod: Pod) -> StaticPod:
    status = pod.status
    return StaticPod(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        node=pod.spec.node_name,
        phase=pod.phase or "Pending",
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        containers=container_outcomes(status),
    )


def _container_outcome(status: Json) -> StaticContainer:
    state, detail = next(iter(status["state"].items()))
    return StaticContainer(
        name=status["name"],
        state=state,
        exit_code=detail.get("exitCode"),
        reason=detail.get("reason", ""),
        message=detail.get("message", ""),
        restart_count=status["restartCount"],
    )
