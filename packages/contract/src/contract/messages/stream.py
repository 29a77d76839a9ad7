"""Byte streams between a client of the kubelet API and a container: exec, attach, port-forward.

Reading is by credit as logs are: the reader asks for each next chunk by its number, and a number
asked for again gets the same chunk. What is written carries its offset, so that a repetition is
taken once. A stream that nobody reads or writes for a while ends, and its process with it.
"""

from typing import ClassVar, Final

import msgspec

from contract.messages.form import Command, Done, Message

MAX_STREAM_CHUNK_BYTES: Final = 256 * 1024


class StreamOpened(Message, frozen=True, kw_only=True, omit_defaults=True, tag="stream_opened"):
    """There is such a stream now. Of an attach, `cursor` says where its log is read on from."""

    cursor: str = ""
    tty: bool = False


class ExecOpen(
    Command[StreamOpened], frozen=True, kw_only=True, omit_defaults=True, tag="exec_open"
):
    """Run a command in a running container. Its end is in the last chunk.

    The opener chooses the stream's id; opening it twice is opening it once. Refused with the
    kubelet's code and text. With a tty, stderr comes as stdout.
    """

    stream: str
    namespace: str
    pod: str
    uid: str = ""
    container: str
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class AttachOpen(
    Command[StreamOpened], frozen=True, kw_only=True, omit_defaults=True, tag="attach_open"
):
    """Write to a running container's stdin, if it has one. What it says is in its log."""

    stream: str
    namespace: str
    pod: str
    uid: str = ""
    container: str
    stdin: bool = False


class ForwardOpen(
    Command[StreamOpened], frozen=True, kw_only=True, omit_defaults=True, tag="forward_open"
):
    """Connect to a port that a process of the pod listens on.

    Port 0 opens nothing and asks only whether there is such a pod.
    """

    stream: str
    namespace: str
    pod: str
    uid: str = ""
    port: int


class StreamEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a stream ended: with a process's exit code, or with words."""

    exit_code: int = 0
    failure: str = ""
    """Why nothing has run, or what broke it."""


class StreamChunk(Message, frozen=True, kw_only=True, omit_defaults=True, tag="stream_chunk"):
    """What came next. Empty without `end`: nothing came within the wait."""

    bulk_field: ClassVar[str] = "out"

    out: bytes = b""
    err: bytes = b""
    end: StreamEnd | None = None
    """Nothing comes after this."""


class StreamRead(
    Command[StreamChunk], frozen=True, kw_only=True, omit_defaults=True, tag="stream_read"
):
    """Read the chunk of this number, from 0 on. Waits up to `wait_s` seconds (at most 20)."""

    stream: str
    number: int
    max_bytes: int = MAX_STREAM_CHUNK_BYTES
    wait_s: float = 0.0


class StreamTaken(Message, frozen=True, kw_only=True, omit_defaults=True, tag="stream_taken"):
    """How much has been taken of all that was written. `closed`: nobody wants more."""

    offset: int
    closed: bool = False


class StreamWrite(
    Command[StreamTaken], frozen=True, kw_only=True, omit_defaults=True, tag="stream_write"
):
    """Write bytes that begin at this offset; `end` half-closes behind them.

    Answered when they are taken, or when there was no room for them for a while: ask again.
    Without bytes it only says that the writer still lives.
    """

    bulk_field: ClassVar[str] = "data"

    stream: str
    offset: int
    data: bytes = b""
    end: bool = False


class StreamClose(Command[Done], frozen=True, kw_only=True, omit_defaults=True, tag="stream_close"):
    """End a stream; its process is killed. One that is not there has ended already."""

    stream: str
