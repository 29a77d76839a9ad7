"""What supervisor and keeper say to each other over a SOCK_SEQPACKET pair.

One message is one packet. Requests carry a number that the answer repeats, so that many are under
way at once; an exit is told unasked. A spawn carries the socket on which the container's process
reads its plan, which the keeper passes on and never reads. One without a log is an exec: a new
instance in a container's world, whose stdin, stdout and stderr come with the spawn too.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.msgpack import Decoder

from wasm_executor.container.plan import StartFailure

MAX_MESSAGE: Final = 64 * 1024
STDIO: Final = 3
STDIN_PIECE: Final = 4096
LIST_PAGE: Final = 8
"""Containers per answer: a trap's text may have 4 KiB."""
EXEC_SUFFIX: Final = ".exec"
"""Follows the container's name in an exec's key; the name of a container has no dot."""
_KEY: Final = re.compile(r"[A-Za-z0-9.-]+/[A-Za-z0-9.-]+/[0-9]+")


def is_exec(key: str) -> bool:
    """Whether a key names an exec, not a container's run."""
    return key.rpartition("/")[0].endswith(EXEC_SUFFIX)


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of everything on this socket."""


class SpawnSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the keeper itself must know of a container."""

    key: str
    """`{pod uid}/{container}/{restart count}`, or `{pod uid}/{container}.exec/{number}`."""
    log_path: str | None = None
    """None for an exec: its stdio is its caller's, and travels with the spawn."""
    log_max_bytes: int = 10 * 1024 * 1024
    log_max_files: int = 5
    hold_stdin: bool = False
    """Keep stdin open until `close_stdin`; else the guest reads end-of-file at once."""

    def __post_init__(self) -> None:
        if _KEY.fullmatch(self.key) is None:
            raise ValueError(f"{self.key!r} is not {{uid}}/{{container}}/{{restart count}}")

    @property
    def descriptors(self) -> int:
        """How many travel with the spawn."""
        return 1 if self.log_path is not None else 1 + STDIO


class Exit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a container ended; said only when its last log line is in its file."""

    key: str
    code: int
    """128 + signal for one that was killed."""
    signal: int | None = None
    at: datetime
    at_mono: float | None = None
    """The same on the monotonic clock; None where no keeper saw it."""
    started_at: datetime
    trap: str | None = None
    """wasmtime's words, where the guest ended in a trap (code 134)."""
    failure: StartFailure | None = None
    """Where the guest never ran (code 128)."""


class ContainerProcess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the keeper's table; it stays after the exit, until it is forgotten."""

    key: str
    pid: int
    started_at: datetime
    exit: Exit | None = None
    log_blocked: bool = False
    """Its log cannot be written (disk full): the guest waits, or its exit does."""


class Spawn(Message, frozen=True, kw_only=True, tag="spawn"):
    id: int
    spec: SpawnSpec


class ListContainers(Message, frozen=True, kw_only=True, tag="list"):
    id: int


class SendSignal(Message, frozen=True, kw_only=True, tag="signal"):
    id: int
    key: str
    signum: int


class CloseStdin(Message, frozen=True, kw_only=True, tag="close-stdin"):
    id: int
    key: str


class WriteStdin(Message, frozen=True, kw_only=True, tag="write-stdin"):
    """All of it is written, or nothing; a pipe promises that for `STDIN_PIECE` bytes."""

    id: int
    key: str
    data: bytes


class Forget(Message, frozen=True, kw_only=True, tag="forget"):
    id: int
    key: str


type OfContainer = SendSignal | CloseStdin | WriteStdin | Forget
type Request = Spawn | ListContainers | OfContainer


class Refusal(StrEnum):
    UNKNOWN_KEY = "UnknownKey"
    KEY_IN_USE = "KeyInUse"
    STILL_RUNNING = "StillRunning"
    STDIN_FULL = "StdinFull"
    STDIN_CLOSED = "StdinClosed"
    SPAWN_FAILED = "SpawnFailed"
    """No process came of it: the zygote died, or the machine has no more to give. Retry."""


class Spawned(Message, frozen=True, kw_only=True, tag="spawned"):
    id: int
    pid: int
    started_at: datetime


class Done(Message, frozen=True, kw_only=True, tag="done"):
    id: int


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    id: int
    reason: Refusal
    message: str


class Listed(Message, frozen=True, kw_only=True, tag="listed"):
    id: int
    containers: tuple[ContainerProcess, ...]
    more: bool = False


class Exited(Message, frozen=True, kw_only=True, tag="exited"):
    exit: Exit


type Answer = Spawned | Done | Refused | Listed
type FromKeeper = Answer | Exited

encoder: Final = msgspec.msgpack.Encoder()
request_decoder: Final[Decoder[Request]] = Decoder(Request)
from_keeper_decoder: Final[Decoder[FromKeeper]] = Decoder(FromKeeper)
