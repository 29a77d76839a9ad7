"""What can go wrong between us and an API server, by what the caller should do next.

`retryable` errors pass by themselves: try again after `retry_after_s`, or after a back-off of one's
own. The others stay until somebody changes something. The HTTP status stays an attribute for logs;
code above the edge decides by class.
"""

from typing import ClassVar


class KubekitError(Exception):
    """The base of every error of this package."""


class KubeconfigError(KubekitError):
    """The kubeconfig or the pod's service account cannot be used: a matter for the operator."""


class PluginHangsError(KubeconfigError):
    """A credential plugin did not end in its time."""


class NotLeadingError(KubekitError):
    """Leadership is not ours (any more): write nothing, and wait for the next term."""


class ApiError(KubekitError):
    """A request to the API server that did not succeed. Final, unless a subclass says otherwise."""

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        self.causes = causes


class UnauthorizedError(ApiError):
    """401: the credential is not accepted. It may be rotated at any time, so trying again helps."""

    retryable = True


class ForbiddenError(ApiError):
    """403: a role is missing, or admission said no."""


class NotFoundError(ApiError):
    """404: there is no such object (or no such resource)."""


class ConflictError(ApiError):
    """409: another UID or resourceVersion than the one named. Read again, then decide again."""


class AlreadyExistsError(ConflictError):
    """409 on create: an object of this name is there."""


class GoneError(ApiError):
    """410: the resourceVersion or continue token is too old. List again."""


class InvalidError(ApiError):
    """422: the API server will never accept this body."""


class TooManyRequestsError(ApiError):
    """429: slow down; `retry_after_s` says for how long, if the server did."""

    retryable = True


class ServerError(ApiError):
    """5xx: the API server is ill, starting, or behind. A write may or may not have happened."""

    retryable = True

    @property
    def is_version_too_new(self) -> bool:
        """The server does not know the asked resourceVersion yet, or not any more (a restore)."""
        return "ResourceVersionTooLarge" in self.causes or "Too large resource version" in (
            self.message
        )


class UnreachableError(ApiError):
    """No (whole) answer: refused, reset, timed out. A write may or may not have happened."""

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(0, "Unreachable", message)


class MalformedAnswerError(ApiError):
    """An answer that is not what the API promises: an empty body, half a line, no JSON."""

    retryable = True

    def __init__(self, message: str, *, status: int = 200) -> None:
        super().__init__(status, "MalformedAnswer", message)
