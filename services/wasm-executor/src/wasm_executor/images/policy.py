"""When to pull, and what to say about it.

The words are the kubelet's: dashboards, tests and people match on them. It has none for compiling.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Literal

import msgspec

from contract.messages.pull import PullPolicy
from wasm_executor.domain.backoff import go_duration
from wasm_executor.images.errors import (
    ImageError,
    ImageNeverPullError,
    ImagePullError,
    InvalidImageNameError,
)

ERR_IMAGE_PULL: Final = "ErrImagePull"
REGISTRY_UNAVAILABLE: Final = "RegistryUnavailable"


class Decision(StrEnum):
    """What to do about one start of one container."""

    USE = "use"
    PULL = "pull"
    REFUSE = "refuse"


class ImageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a user looks for in `kubectl describe pod`."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


type OnEvent = Callable[[ImageEvent], None]


def ignore(_event: ImageEvent) -> None:
    """For callers that tell nobody."""


DECISIONS: Final[dict[tuple[PullPolicy, bool], Decision]] = {
    (PullPolicy.ALWAYS, True): Decision.PULL,
    (PullPolicy.ALWAYS, False): Decision.PULL,
    (PullPolicy.IF_NOT_PRESENT, True): Decision.USE,
    (PullPolicy.IF_NOT_PRESENT, False): Decision.PULL,
    (PullPolicy.NEVER, True): Decision.USE,
    (PullPolicy.NEVER, False): Decision.REFUSE,
}


def decide(policy: PullPolicy, *, present: bool) -> Decision:
    """Always asks the registry at each start, even for an image that is here."""
    return DECISIONS[policy, present]


def pulling(image: str) -> ImageEvent:
    return ImageEvent(reason="Pulling", message=f'Pulling image "{image}"')


def already_present(image: str) -> ImageEvent:
    message = f'Container image "{image}" already present on machine and can be accessed by the pod'
    return ImageEvent(reason="Pulled", message=message)


def pulled(image: str, *, pull_s: float, waited_s: float, size_bytes: int) -> ImageEvent:
    """`waited_s` includes the time spent behind other pulls."""
    return ImageEvent(
        reason="Pulled",
        message=(
            f'Successfully pulled image "{image}" in {go_duration(pull_s)} '
            f"({go_duration(waited_s)} including waiting). Image size: {size_bytes} bytes."
        ),
    )


def compiling(image: str) -> ImageEvent:
    return ImageEvent(reason="Compiling", message=f'Compiling image "{image}", once for this node')


def failure_events(image: str, error: ImageError) -> tuple[ImageEvent, ...]:
    """Two Events follow a failure: what happened, and the reason alone."""
    match error:
        case InvalidImageNameError():
            first = ImageEvent(reason="InspectFailed", message=error.message, type="Warning")
        case ImageNeverPullError():
            first = ImageEvent(reason="ErrImageNeverPull", message=error.message, type="Warning")
        case ImagePullError():
            message = f'Failed to pull image "{image}": {error.message}'
            first = ImageEvent(reason="Failed", message=message, type="Warning")
        case _:
            return (_failed(error.message),)
    return (first, _failed(error.reason))


def _failed(what: str) -> ImageEvent:
    return ImageEvent(reason="Failed", message=f"Error: {what}", type="Warning")


def back_off_message(image: str, error: ImageError) -> str:
    """The waiting message between two attempts; the reason is `ImagePullBackOff`."""
    return f'Back-off pulling image "{image}": {error.reason}: {error.message}'


def pull_failed(reference: str, detail: str, *, retry: bool = True) -> ImagePullError:
    """Wrap what went wrong in the words that containerd would have sent to the kubelet."""
    message = f'failed to pull and unpack image "{reference}": {detail}'
    return ImagePullError(ERR_IMAGE_PULL, message, retry=retry)


def registry_unavailable(reference: str, detail: str) -> ImagePullError:
    """The registry answers, and says that it cannot serve now (429, 502, 503)."""
    message = f"image pull failed for {reference} because the registry is unavailable: {detail}"
    return ImagePullError(REGISTRY_UNAVAILABLE, message)
