"""What users look for in `kubectl describe`, in the kubelet's words.

Those of images (Pulling, Pulled, Failed to pull) come with the image service.
"""

from contract.messages.pod import ContainerPlan, PodPlan
from contract.messages.report import Occurrence
from wasm_executor.domain.moments import Moment


def _created(container: ContainerPlan, now: Moment) -> Occurrence:
    return Occurrence(
        reason="Created", message="Container created", at=now.wall, container=container.name
    )


def started(container: ContainerPlan, now: Moment) -> tuple[Occurrence, Occurrence]:
    begun = Occurrence(
        reason="Started", message="Container started", at=now.wall, container=container.name
    )
    return _created(container, now), begun


def killing(container: ContainerPlan, now: Moment) -> Occurrence:
    return _killing(container, now, f"Stopping container {container.name}")


def redefined(container: ContainerPlan, now: Moment) -> Occurrence:
    return _killing(
        container, now, f"Container {container.name} definition changed, will be restarted"
    )


def _killing(container: ContainerPlan, now: Moment, message: str) -> Occurrence:
    return Occurrence(reason="Killing", message=message, at=now.wall, container=container.name)


def start_failed(
    container: ContainerPlan, now: Moment, message: str
) -> tuple[Occurrence, Occurrence]:
    failed = Occurrence(
        reason="Failed",
        message=f"Error: {message}",
        at=now.wall,
        type="Warning",
        container=container.name,
    )
    return _created(container, now), failed


def restart_backs_off(pod: PodPlan, container: ContainerPlan, now: Moment) -> Occurrence:
    return Occurrence(
        reason="BackOff",
        message=(
            f"Back-off restarting failed container {container.name} "
            f"in pod {pod.name}_{pod.namespace}({pod.uid})"
        ),
        at=now.wall,
        type="Warning",
        container=container.name,
    )


def image_backs_off(container: ContainerPlan, now: Moment) -> tuple[Occurrence, Occurrence]:
    return (
        Occurrence(
            reason="BackOff",
            message=f'Back-off pulling image "{container.image}"',
            at=now.wall,
            container=container.name,
        ),
        Occurrence(
            reason="Failed",
            message="Error: ImagePullBackOff",
            at=now.wall,
            type="Warning",
            container=container.name,
        ),
    )
