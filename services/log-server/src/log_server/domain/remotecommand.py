"""What a request for exec or attach asks, and in which words its end is told.

The query's names and the statuses are the kubelet's (cri-streaming, remotecommand).
"""

from collections.abc import Sequence
from enum import IntEnum
from urllib.parse import parse_qs, unquote

import msgspec

from contract.messages.stream import StreamEnd


class OptionsError(Exception):
    """The kubelet answers this text with 400."""


class Channel(IntEnum):
    """The channels of a remote command, by their numbers in a WebSocket's messages."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4


class CommandOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which streams a client wants, and what is to be run."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: tuple[str, ...]


class ContainerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Which container, or pod, a path names; the UID is optional."""

    namespace: str
    pod: str
    uid: str = ""
    container: str = ""


def container_place(raw: str) -> ContainerPlace | None:
    """Return what `{namespace}/{pod}[/{uid}]/{container}` names, None for another form."""
    match [unquote(part) for part in raw.split("/")]:
        case [namespace, pod, container]:
            place = ContainerPlace(namespace=namespace, pod=pod, container=container)
        case [namespace, pod, uid, container]:
            place = ContainerPlace(namespace=namespace, pod=pod, uid=uid, container=container)
        case _:
            return None
    return place if all((place.namespace, place.pod, place.container)) else None


def pod_place(raw: str) -> ContainerPlace | None:
    """Return what `{namespace}/{pod}[/{uid}]` names, None for another form."""
    match [unquote(part) for part in raw.split("/")]:
        case [namespace, pod]:
            place = ContainerPlace(namespace=namespace, pod=pod)
        case [namespace, pod, uid]:
            place = ContainerPlace(namespace=namespace, pod=pod, uid=uid)
        case _:
            return None
    return place if place.namespace and place.pod else None


def command_options(query: str) -> CommandOptions:
    """Return what a query asks for; raise `OptionsError` when that is nothing."""
    asked = parse_qs(query, keep_blank_values=True)

    def is_set(name: str) -> bool:
        return asked.get(name, [""])[0] == "1"

    tty = is_set("tty")
    options = CommandOptions(
        stdin=is_set("input"),
        stdout=is_set("output"),
        stderr=is_set("error") and not tty,  # a terminal has one output
        tty=tty,
        command=tuple(asked.get("command", ())),
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise OptionsError("you must specify at least 1 of stdin, stdout, stderr")
    return options


def end_text(end: StreamEnd, command: Sequence[str]) -> str:
    """Return what the first protocols say of an end on the error channel: nothing of a good one."""
    if end.failure:
        return f"Internal error occurred: {_failed(end)}"
    if end.exit_code:
        told = f"error executing command [{' '.join(command)}], exit code {end.exit_code}"
        return f"command terminated with non-zero exit code: {told}"
    return ""


def end_status(end: StreamEnd, command: Sequence[str]) -> bytes:
    """Return what protocols from v4 on say of an end: a v1.Status."""
    status: dict[str, object] = {"metadata": {}, "status": "Success"}
    if end.failure or end.exit_code:
        status |= {"status": "Failure", "message": end_text(end, command)}
    if end.failure:
        status |= {
            "reason": "InternalError",
            "details": {"causes": [{"message": _failed(end)}]},
            "code": 500,
        }
    elif end.exit_code:
        cause = {"reason": "ExitCode", "message": str(end.exit_code)}
        status |= {"reason": "NonZeroExitCode", "details": {"causes": [cause]}}
    return msgspec.json.encode(status)


def _failed(end: StreamEnd) -> str:
    return f"error executing command in container: {end.failure}"
