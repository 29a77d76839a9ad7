"""From an HTTP answer that is no success to the error that says what to do next.

The body is usually a metav1.Status, but not always: a proxy's page, the priority-and-fairness
filter's bare "Too many requests", an empty body. Each still ends in one `ApiError` with a text.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from kubekit.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
)

# What of an unexpected page goes into an error message (and from there into logs).
_TEXT_LIMIT: Final = 500

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    retry_after_seconds: int = 0
    causes: tuple[_Cause, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The part of metav1.Status that decides."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


_STATUS: Final = msgspec.json.Decoder(Status)


def error_from_status(status: Status, *, retry_after_s: float | None = None) -> ApiError:
    """The error for a Status object, be it a body or the object of a watch's ERROR event."""
    details = status.details or _Details()
    return _error_class(status)(
        status.code,
        status.reason or "Unknown",
        status.message or "the API server gave no message",
        retry_after_s=retry_after_s or details.retry_after_seconds or None,
        causes=tuple(cause.reason for cause in details.causes),
    )


def error_from_answer(code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error for an answer outside 200 to 299, whatever its body is."""
    status = parse_status(body) or Status(
        message=body[:_TEXT_LIMIT].decode("utf-8", "replace").strip()
    )
    # A proxy's code and a Status' own may differ; the one on the wire is the one that happened.
    status = msgspec.structs.replace(status, code=code)
    return error_from_status(status, retry_after_s=_retry_after_s(headers))


def parse_status(body: bytes | msgspec.Raw) -> Status | None:
    """The Status in a body, or None when the body is something else."""
    try:
        status = _STATUS.decode(body)
    except msgspec.DecodeError:
        return None
    return status if status.kind == "Status" else None


def _error_class(status: Status) -> type[ApiError]:
    if status.code == 409 and status.reason == "AlreadyExists":  # noqa: PLR2004 -- its own name
        return AlreadyExistsError
    if status.code == 422 and _is_about_uid(status):  # noqa: PLR2004 -- as above
        return ConflictError
    if status.code >= 500:  # noqa: PLR2004 -- as above
        return ServerError
    return _BY_STATUS.get(status.code, ApiError)


def _is_about_uid(status: Status) -> bool:
    """A patch that names another UID is answered as an attempt to change it, and not with 409."""
    causes = status.details.causes if status.details else ()
    return any(cause.field == "metadata.uid" for cause in causes)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; the API server never sends the date form."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
