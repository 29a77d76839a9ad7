"""Why an image cannot be had, in the kubelet's reasons.

Every error carries the waiting `reason` and `message` that the container's status shows.
`retry` says whether the same call may end differently later; the kubelet tries again in any case,
so it only decides whether we ask for the same work again or repeat the answer.
"""


class ImageError(Exception):
    """Base of this package's errors: the container waits with `reason` and `message`."""

    def __init__(self, reason: str, message: str, *, retry: bool = True) -> None:
        self.reason = reason
        self.message = message
        self.retry = retry
        super().__init__(f"{reason}: {message}")


class InvalidImageNameError(ImageError):
    """The name is none; no later attempt helps until the plan changes."""

    def __init__(self, image: str, problem: str) -> None:
        self.image = image
        super().__init__(
            "InvalidImageName",
            f'Failed to apply default image tag "{image}": '
            f'couldn\'t parse image name "{image}": {problem}',
            retry=False,
        )


class ImageNeverPullError(ImageError):
    """The policy forbids a pull and the image is not here."""

    def __init__(self, image: str) -> None:
        super().__init__(
            "ErrImageNeverPull",
            f'Container image "{image}" is not present with pull policy of Never',
        )


class ImagePullError(ImageError):
    """The pull failed: wait with back-off, then ask again."""


class ImageAccessError(ImagePullError):
    """The registry does not give this image to whoever asked: other credentials may get it."""


class CompileError(ImageError):
    """The artifact is here but cannot be made runnable: the container waits."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        super().__init__("CreateContainerError", message, retry=retry)
