"""The query of `/containerLogs`, decoded and checked by the kubelet's rules.

The odd ones are kept, because clients rely on them: any boolean but `false` and `0` is true, the
first of several values counts, an empty `sinceTime` is a time without effect that still excludes
`sinceSeconds`, `tail` is `tailLines` by its old name.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import msgspec

from log_server.domain.timestamps import NANOSECONDS, nanoseconds

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_INT64: Final = 2**63
_STREAMS: Final = ("All", "Stdout", "Stderr")
_LONGEST_S: Final = _INT64 // NANOSECONDS


class LogQueryError(Exception):
    """Base of what is wrong with a request for logs. The text is the body of the answer."""


class MissingNameError(LogQueryError):
    """A segment of the path is empty."""


class UndecodableQueryError(LogQueryError):
    """A value is no number, or no time."""

    def __init__(self) -> None:
        super().__init__('{"message": "Unable to decode query."}')


class InvalidOptionsError(LogQueryError):
    """A value is out of bounds, or two exclude one another."""

    def __init__(self) -> None:
        super().__init__('{"message": "Invalid request."}')


class UnsupportedStreamError(LogQueryError):
    """One stream alone was asked for, which is behind a gate that is off."""

    def __init__(self, stream: str) -> None:
        super().__init__(
            f'unable to return the given log stream: "{stream}". '
            "Please enable PodLogsQuerySplitStreams feature gate in kubelet"
        )


class ContainerPath(msgspec.Struct, frozen=True, kw_only=True):
    """Whose log is asked for."""

    namespace: str
    pod: str
    container: str


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a log is asked for, in which form. Times in nanoseconds since the epoch."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_ns: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None


def parse_container_path(rest: str) -> ContainerPath | None:
    """Return what `{namespace}/{pod}/{container}` names, or None when it is no such path.

    Raises `MissingNameError` for an empty segment, in the kubelet's order.
    """
    segments = rest.split("/")
    if len(segments) != 3:  # noqa: PLR2004 - the form above
        return None
    namespace, pod, container = segments
    for segment, name in (
        (pod, "podID"),
        (container, "container name"),
        (namespace, "podNamespace"),
    ):
        if not segment:
            raise MissingNameError(f'{{"message": "Missing {name}."}}')
    return ContainerPath(namespace=namespace, pod=pod, container=container)


def parse_log_options(query: str, now_ns: int) -> LogOptions:
    """Return the options that a query string asks for, or raise a `LogQueryError`."""
    values = {
        name: given[0]
        for name, given in parse_qs(query, keep_blank_values=True, errors="replace").items()
    }
    _rename_tail(values)
    seconds = _integer(values, "sinceSeconds")
    time = _time(values, "sinceTime")
    options = LogOptions(
        follow=_boolean(values, "follow"),
        previous=_boolean(values, "previous"),
        timestamps=_boolean(values, "timestamps"),
        since_ns=time if seconds is None else now_ns - min(seconds, _LONGEST_S) * NANOSECONDS,
        tail_lines=_integer(values, "tailLines"),
        limit_bytes=_integer(values, "limitBytes"),
    )
    if seconds is not None and ("sinceTime" in values or seconds < 1):
        raise InvalidOptionsError
    _check_bounds(options)
    _check_stream(values.get("stream"), options)
    return options


def _check_bounds(options: LogOptions) -> None:
    if options.tail_lines is not None and options.tail_lines < 0:
        raise InvalidOptionsError
    if options.limit_bytes is not None and options.limit_bytes < 1:
        raise InvalidOptionsError


def _check_stream(stream: str | None, options: LogOptions) -> None:
    if stream is None or stream == "All":
        return
    if stream not in _STREAMS or options.tail_lines is not None:
        raise InvalidOptionsError
    raise UnsupportedStreamError(stream)


def _rename_tail(values: dict[str, str]) -> None:
    tail = values.get("tail")
    if tail == "all":
        values.pop("tailLines", None)
    elif tail:
        values["tailLines"] = tail


def _boolean(values: Mapping[str, str], name: str) -> bool:
    value = values.get(name)
    return value is not None and value != "0" and value.lower() != "false"


def _integer(values: Mapping[str, str], name: str) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    # More digits than an int64 has, and int() would be asked to read megabytes.
    if not _INTEGER.fullmatch(value) or len(value) > 40:  # noqa: PLR2004 - as said
        raise UndecodableQueryError
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise UndecodableQueryError
    return number


def _time(values: Mapping[str, str], name: str) -> int | None:
    value = values.get(name)
    if value in (None, "", "null"):
        return None
    try:
        return nanoseconds(str(value))
    except ValueError as error:
        raise UndecodableQueryError from error
