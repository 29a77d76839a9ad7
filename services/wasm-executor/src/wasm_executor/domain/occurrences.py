"""What users look for in `kubectl describe`, in the kubelet's words.

Those of images (Pulling, Pulled, Failed to pull) come with the image service.
"""

from collections.abc import Iterator
from typing import Final

from contract.messages.pod import ContainerPlan, ContainerRole, PodPlan
from contract.messages.report import Occurrence
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict
from wasm_executor.domain.inputs import ProbeFinished
from wasm_executor.domain.moments import Moment

DEADLINE_EXCEEDED: Final = "DeadlineExceeded"


def _created(container: ContainerPlan, now: Moment) -> Occurrence:
    return Occurrence(
        reason="Created", message="Container created", at=now.wall, container=container.name
    )


def started(container: ContainerPlan, now: Moment) -> tuple[Occurrence, Occurrence]:
    begun = Occurrence(
        reason="Started", message="Container started", at=now.wall, container=container.name
    )
    return _created(container, now), begun


def killing(container: ContainerPlan, now: Moment, message: str = "") -> Occurrence:
    """Say that a container is told to end; without a message, because its pod ends."""
    message = message or f"Stopping container {container.name}"
    return Occurrence(reason="Killing", message=message, at=now.wall, container=container.name)


def redefined(container: ContainerPlan) -> str:
    if container.role is ContainerRole.SIDECAR:
        return f"Init container {container.name} definition changed"
    return f"Container {container.name} definition changed, will be restarted"


def condemned(container: ContainerPlan, kind: ProbeKind, *, restarts: bool) -> str:
    if container.role is ContainerRole.SIDECAR:
        return f"Init container {container.name} failed {kind} probe"
    text = f"Container {container.name} failed {kind} probe"
    return f"{text}, will be restarted" if restarts else text


def hook_failed(container: ContainerPlan, kind: HookKind, now: Moment) -> Occurrence:
    """Say that much and no more: what a hook says may hold secrets."""
    name = "PostStartHook" if kind is HookKind.POST_START else "PreStopHook"
    return _warning(container, now, f"Failed{name}", f"{name} failed")


def probed(container: ContainerPlan, news: ProbeFinished, now: Moment) -> Iterator[Occurrence]:
    """Say what is worth knowing of a probe's result."""
    name = news.kind.capitalize()
    if news.warning:
        yield _warning(container, now, "ProbeWarning", f"{name} probe warning: {news.warning}")
    match news.verdict:
        case Verdict.FAILURE:
            yield _warning(container, now, "Unhealthy", f"{name} probe failed: {news.output}")
        case Verdict.UNKNOWN:
            text = f"{name} probe errored and resulted in {news.state} state: {news.output}"
            yield _warning(container, now, "Unhealthy", text)


def sentenced(sentence: Sentence, now: Moment) -> Occurrence:
    """Say of the whole pod why the node ends it. A deadline is the pod's own, and no warning."""
    return Occurrence(
        reason=sentence.reason,
        message=sentence.message,
        at=now.wall,
        type="Normal" if sentence.reason == DEADLINE_EXCEEDED else "Warning",
    )


def _warning(container: ContainerPlan, now: Moment, reason: str, message: str) -> Occurrence:
    return Occurrence(
        reason=reason, message=message, at=now.wall, type="Warning", container=container.name
    )


def start_failed(
    container: ContainerPlan, now: Moment, message: str
) -> tuple[Occurrence, Occurrence]:
    return _created(container, now), _warning(container, now, "Failed", f"Error: {message}")


def not_created(container: ContainerPlan, now: Moment, message: str) -> Occurrence:
    """Say why a container whose image is there could not be made of it."""
    return _warning(container, now, "Failed", f"Error: {message}")


def restart_backs_off(pod: PodPlan, container: ContainerPlan, now: Moment) -> Occurrence:
    message = (
        f"Back-off restarting failed container {container.name} "
        f"in pod {pod.name}_{pod.namespace}({pod.uid})"
    )
    return _warning(container, now, "BackOff", message)


def image_backs_off(container: ContainerPlan, now: Moment) -> tuple[Occurrence, Occurrence]:
    return (
        Occurrence(
            reason="BackOff",
            message=f'Back-off pulling image "{container.image}"',
            at=now.wall,
            container=container.name,
        ),
        _warning(container, now, "Failed", "Error: ImagePullBackOff"),
    )
