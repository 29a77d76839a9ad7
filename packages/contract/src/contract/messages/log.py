"""Reading container logs by credit: the reader asks for each next chunk."""

from typing import ClassVar, Final

from contract.messages.form import Command, Message

MAX_CHUNK_BYTES: Final = 256 * 1024


class LogOpened(Message, frozen=True, kw_only=True, omit_defaults=True, tag="log_opened"):
    """Where reading starts. The cursor is opaque to everyone but the executor."""

    cursor: str


class LogOpen(Command[LogOpened], frozen=True, kw_only=True, omit_defaults=True, tag="log_open"):
    """Find the log of a container's run, and the place in it where reading starts.

    Refused with the kubelet's code and text where there is nothing to read (400, 404).
    `tail_lines` counts lines from the end, 0 included; None means all.
    """

    namespace: str
    pod: str
    container: str
    previous: bool = False
    tail_lines: int | None = None


class LogChunk(Message, frozen=True, kw_only=True, omit_defaults=True, tag="log_chunk"):
    """Whole lines of the log file in CRI format, and where the next read goes on.

    `plain`: what these lines say, without their times.
    `end` says that this run has ended and that nothing comes after `data`. Without it, empty
    `data` means that nothing was written within the wait.
    """

    bulk_field: ClassVar[str] = "data"

    data: bytes = b""
    cursor: str
    end: bool = False
    plain: bool = False


class LogRead(Command[LogChunk], frozen=True, kw_only=True, omit_defaults=True, tag="log_read"):
    """Read on from a cursor. Waits up to `wait_s` seconds (at most 20) where nothing is there.

    `plain` says that what the lines say is enough.
    """

    cursor: str
    max_bytes: int = MAX_CHUNK_BYTES
    wait_s: float = 0.0
    plain: bool = False
