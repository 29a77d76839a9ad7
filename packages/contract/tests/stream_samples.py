"""One full sample of every message of byte streams; the goldens are their bytes."""

from contract.messages.form import Message
from contract.messages.stream import (
    AttachOpen,
    ExecOpen,
    ForwardOpen,
    StreamChunk,
    StreamClose,
    StreamEnd,
    StreamOpened,
    StreamRead,
    StreamTaken,
    StreamWrite,
)

STREAM = "5f2c"

STREAM_SAMPLES: tuple[Message, ...] = (
    ExecOpen(
        stream=STREAM,
        namespace="default",
        pod="hello",
        uid="u-1",
        container="app",
        command=("app", "--check"),
        stdin=True,
        stdout=True,
        stderr=True,
        tty=True,
    ),
    AttachOpen(
        stream=STREAM, namespace="default", pod="hello", uid="u-1", container="app", stdin=True
    ),
    ForwardOpen(stream=STREAM, namespace="default", pod="hello", uid="u-1", port=8080),
    StreamOpened(cursor="c", tty=True),
    StreamRead(stream=STREAM, number=3, max_bytes=1024, wait_s=5.0),
    StreamChunk(out=b"\x00\xff", err=b"oh", end=StreamEnd(exit_code=3, failure="why")),
    StreamWrite(stream=STREAM, offset=17, data=b"in", end=True),
    StreamTaken(offset=19, closed=True),
    StreamClose(stream=STREAM),
)
