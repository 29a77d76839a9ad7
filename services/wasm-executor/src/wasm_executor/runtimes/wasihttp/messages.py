"""HTTP messages between a guest and its host: what arrives, and what it makes."""

from typing import Final, Protocol

from wasm_executor.runtimes.wasihttp.errors import HttpFailedError, StreamClosedError
from wasm_executor.runtimes.wasihttp.fields import Fields
from wasm_executor.runtimes.wasihttp.streams import Awaited, InputStream, Source

HELD_BACK: Final = 64 * 1024
"""Of a body that nobody sends yet, or that the other side does not take."""


class IncomingBody(InputStream, Protocol):
    """The body of a message that arrives; reading it makes it come."""

    @property
    def trailers(self) -> Fields | None:
        """What came behind it."""

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""


class Sink(Source, Protocol):
    """Where a message that a guest makes goes."""

    def room(self) -> int:
        """Return how much of its body may be written now."""

    def body(self, data: bytes) -> None:
        """Take part of the body."""

    def flush(self) -> None:
        """Send what was taken."""

    def flushed(self) -> bool:
        """Whether all that was taken has been sent."""

    def finish(self, trailers: Fields | None) -> None:
        """The body is whole."""

    def abort(self) -> None:
        """The body will never be whole."""


class Incoming:
    """A request or response that arrives. Its parts may be taken once each."""

    def __init__(self, fields: Fields, body: IncomingBody) -> None:
        self.fields = fields
        self._body: IncomingBody | None = body

    def consume(self) -> "TakenBody | None":
        body, self._body = self._body, None
        return None if body is None else TakenBody(body)


class IncomingRequest(Incoming):
    """What a handler is called with."""

    def __init__(
        self, method: str, target: str, authority: str | None, fields: Fields, body: IncomingBody
    ) -> None:
        super().__init__(fields, body)
        self.method = method
        self.target = target
        self.authority = authority


class IncomingResponse(Incoming):
    """What another server answered."""

    def __init__(self, status: int, fields: Fields, body: IncomingBody) -> None:
        super().__init__(fields, body)
        self.status = status


class TakenBody:
    """`incoming-body`: its stream may be taken once."""

    def __init__(self, body: IncomingBody) -> None:
        self.body = body
        self._taken = False

    def stream(self) -> IncomingBody | None:
        if self._taken:
            return None
        self._taken = True
        return self.body


class OutgoingBody:
    """A body that a guest writes: held back until its message is sent, then the sink's."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._sink: Sink | None = None
        self._flush = self._finished = self._aborted = self._stream_taken = False
        self._trailers: Fields | None = None

    def stream(self) -> "OutgoingBody | None":
        if self._stream_taken:
            return None
        self._stream_taken = True
        return self

    def bind(self, sink: Sink) -> None:
        """Send what was held back, and all that follows."""
        self._sink = sink
        if self._held:
            sink.body(bytes(self._held))
            self._held.clear()
        if self._flush:
            sink.flush()
        if self._aborted:
            sink.abort()
        elif self._finished:
            sink.finish(self._trailers)

    def room(self) -> int:
        if self._finished or self._aborted:
            raise StreamClosedError("the body is finished")
        return HELD_BACK - len(self._held) if self._sink is None else self._sink.room()

    def write(self, data: bytes) -> None:
        if self._finished or self._aborted:
            raise StreamClosedError("the body is finished")
        if self._sink is None:
            self._held += data
        else:
            self._sink.body(data)

    def flush(self) -> None:
        if self._sink is None:
            self._flush = True
        else:
            self._sink.flush()

    def flushed(self) -> bool:
        return self._sink is None or self._sink.flushed()

    def ready(self) -> bool:
        return self._sink.ready() if self._sink is not None else len(self._held) < HELD_BACK

    def awaited(self) -> Awaited:
        if self._sink is None:
            # Nobody sends it while the guest waits here: until its time is over.
            return None if self.ready() else float("inf")
        return self._sink.awaited()

    def close(self) -> None:
        """The stream is dropped; the body goes on until it is finished."""

    def finish(self, trailers: Fields | None) -> None:
        self._finished, self._trailers = True, trailers
        if self._sink is not None:
            self._sink.finish(trailers)

    def drop(self) -> None:
        """Dropped before it was finished: what has been written is not the whole."""
        if not self._finished:
            self._aborted = True
            if self._sink is not None:
                self._sink.abort()


class Outgoing:
    """A request or response that a guest makes."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.body = OutgoingBody()
        self._taken = False

    def take_body(self) -> OutgoingBody | None:
        if self._taken:
            return None
        self._taken = True
        return self.body

    def send(self, sink: Sink) -> None:
        """Bind the body; nobody who has not taken it will write one."""
        if not self._taken:
            self.body.finish(None)
        self.body.bind(sink)


class OutgoingResponse(Outgoing):
    """What a handler answers."""

    status = 200


class OutgoingRequest(Outgoing):
    """What a handler asks another server."""

    method = "GET"
    target: str | None = None
    scheme: str | None = None
    authority: str | None = None


class RequestOptions:
    """Time-outs of an outgoing request, in nanoseconds."""

    def __init__(self) -> None:
        self.connect_ns: int | None = None
        self.first_byte_ns: int | None = None
        self.between_bytes_ns: int | None = None


class Answer(Protocol):
    """Where a handler's response goes."""

    def respond(self, response: OutgoingResponse) -> None:
        """Send it."""

    def fail(self, error: HttpFailedError) -> None:
        """The handler has none."""
