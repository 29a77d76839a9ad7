"""What a container's process is told, and what it says back.

The plan holds secrets (the environment). It goes from the supervisor to the container's process
over a socket of its own, so neither keeper nor zygote ever has it in memory.
"""

import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Literal

import msgspec

_LENGTH: Final = struct.Struct(">I")


class ArtifactKind(StrEnum):
    MODULE = "module"
    COMPONENT = "component"


type Network = Literal["none", "listen", "all"]
"""What sockets a runtime program may have: none, those that listen, or all."""
HTTP_WORLD: Final = "http"
"""The world of a component that exports `wasi:http/incoming-handler`."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """Code compiled ahead of time by `new_engine()`."""

    path: str
    kind: ArtifactKind
    world: str = ""
    """What it exports, as the compiler saw it: `command`, `http` or nothing known."""
    host_types: str = ""
    """The host's types that the compiler found its imports to have; empty where it did not."""


class Preopen(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the host that the guest sees."""

    host_path: str
    guest_path: str
    read_only: bool = False
    beneath: tuple[str, ...] = ()
    """Paths from there on that guests can change: each must not lead out of the one before, which
    only whoever opens the folder can see to; see `open_beneath`."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that a CGI module answers, and by which of its functions; see `wagi.routes`."""

    route: str
    entrypoint: str = "_start"
    argv: str = ""


class HttpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How requests are served, and what handlers may ask of others."""

    workers: int = 1
    """Processes on the same listening sockets."""
    reuse: int = 1
    """Requests that one instance handles, one after another."""
    concurrency: int = 64
    """Requests under way at once in one worker; one more is answered with 503."""
    timeout_s: float = 60.0
    """From a request's head to the last byte of its answer."""
    idle_timeout_s: float = 75.0
    """How long a connection may be without a request."""
    head_timeout_s: float = 10.0
    """How long a request's head may take to come."""
    max_body_bytes: int | None = None
    """Of one request."""
    access_log: bool = False
    allowed_hosts: tuple[str, ...] = ()
    """Where handlers' own requests may go; see `wasihttp.policy`."""
    node_hosts: tuple[str, ...] = ()
    """The same, by the node: both have to allow it."""
    routes: tuple[Route, ...] = ()
    """Of a CGI module; none means all paths."""


class External(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime program of this machine, as its file describes it, and what it is given."""

    program: str
    command: tuple[str, ...]
    """Its arguments; see `runtimes.external` for what is put in."""
    mount: tuple[str, ...] = ()
    port: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    network: "Network" = "none"
    inherits: bool = True
    """Whether it hands its own environment on to the guest."""
    variables: tuple[tuple[str, str], ...] = ()
    refuses: tuple[str, ...] = ()
    """Patterns of variables that would be the program's own."""
    reads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    """Files that it may start beside itself, such as a script's interpreter."""


class ProcessPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one container's process needs to run its guest."""

    runtime: str
    artifact: Artifact
    args: tuple[str, ...] = ()
    """The whole argv: the first one is the program's name."""
    env: tuple[tuple[str, str], ...] = ()
    memory_limit_bytes: int | None = None
    preopens: tuple[Preopen, ...] = ()
    network: bool = False
    """Whether the guest may open sockets: it then has this process's network, all of it."""
    http: HttpPlan | None = None
    """For a guest that handles requests; None for one that runs and ends."""
    external: External | None = None
    """For the runtime `external` alone: its artifact is the module as it was pulled."""
    listeners: tuple[int, ...] = ()
    """Listening sockets: descriptors of whoever has this plan. They travel beside it."""


class StartFailureReason(StrEnum):
    """Why a guest never ran. Kubernetes calls all of them StartError."""

    ARTIFACT_UNUSABLE = "ArtifactUnusable"
    """The artifact does not load into this engine: it wants compiling again."""
    NOT_A_COMMAND = "NotACommand"
    """There is nothing to call, or an import that nobody provides."""
    INSTANTIATION_FAILED = "InstantiationFailed"
    INVALID_PLAN = "InvalidPlan"
    PLAN_LOST = "PlanLost"
    """The supervisor ended before it had sent the whole plan: the container never existed."""


class StartFailure(msgspec.Struct, frozen=True, kw_only=True):
    reason: StartFailureReason
    message: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an exit code cannot say, left in a file that outlives the process."""

    trap: str | None = None
    failure: StartFailure | None = None


class StartReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one message on the plan's socket: started, unless it holds a failure."""

    failure: StartFailure | None = None


plan_encoder: Final = msgspec.msgpack.Encoder()
_plan_decoder: Final = msgspec.msgpack.Decoder(ProcessPlan)
report_decoder: Final = msgspec.msgpack.Decoder(StartReport)
outcome_decoder: Final = msgspec.msgpack.Decoder(Outcome)


def framed(plan: ProcessPlan) -> bytes:
    """Return the plan's bytes with their length before them."""
    encoded = plan_encoder.encode(plan)
    return _LENGTH.pack(len(encoded)) + encoded


def read_plan(receive: Callable[[int], bytes]) -> ProcessPlan | None:
    """Read one framed plan; None means that the sender ended before it was whole."""
    head = _read_exactly(receive, _LENGTH.size)
    if head is None:
        return None
    body = _read_exactly(receive, _LENGTH.unpack(head)[0])
    return None if body is None else _plan_decoder.decode(body)


def _read_exactly(receive: Callable[[int], bytes], size: int) -> bytes | None:
    parts: list[bytes] = []
    while size > 0:
        part = receive(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
