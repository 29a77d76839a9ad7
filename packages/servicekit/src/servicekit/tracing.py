"""Following one thing through its steps, and across services; switched off it costs nothing.

Code says which step it is at, by `step`, and need not know whether anybody records it. Unless an
endpoint is set nobody does: then there is one span, which does nothing, and the library that
records, sends and samples is not imported.
"""

from collections.abc import Generator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, Self

type Attributes = Mapping[str, str]
"""Names and places alone, never what a pod's author wrote: no arguments, no environment."""
type Kind = Literal["internal", "producer", "consumer"]
"""A producer hands on what a consumer does later, in a trace of both."""


class Span:
    """A step from its beginning to its end. This one is of no trace, and so are its children.

    `with` makes it the current one and ends it.
    """

    __slots__ = ()

    is_open = True
    headers: dict[str, str] | None = None
    """What a message takes along, so that its receiver goes on with the trace."""
    ids: Mapping[str, str] = {}
    """What a line of the log says of it."""

    def begin(
        self,
        name: str,  # noqa: ARG002 - this one and its children are nobody's
        attributes: Attributes | None = None,  # noqa: ARG002
        kind: Kind = "internal",  # noqa: ARG002
    ) -> "Span":
        """Begin a step of this one."""
        return self

    def here(self) -> "AbstractContextManager[Span]":
        """Make it the current one for a while, without an end."""
        return self

    def failed(self, reason: str) -> None:
        """It came to nothing. A reason is a word, for a text may quote a Secret."""

    def end(self) -> None:
        """It is over; the first time counts."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


NO_SPAN: Final = Span()
CURRENT: Final[ContextVar[Span]] = ContextVar("span", default=NO_SPAN)


def current() -> Span:
    """The step that this is part of. A task inherits it, and goes on alone when that is over."""
    span = CURRENT.get()
    return span if span.is_open else NO_SPAN


def step(name: str, attributes: Attributes | None = None, kind: Kind = "internal") -> Span:
    """Begin a step of the current one."""
    return current().begin(name, attributes, kind)


class Tracer:
    """Where traces begin, or come in. Of this one nobody hears."""

    def root(self, name: str, attributes: Attributes) -> Span:  # noqa: ARG002 - nobody hears
        """Begin a trace, if it is among those that are recorded."""
        return NO_SPAN

    def arrived(self, headers: Mapping[str, str] | None) -> Span:  # noqa: ARG002
        """The step of another service that a message belongs to."""
        return NO_SPAN


NO_TRACER: Final = Tracer()


@contextmanager
def traced(service: str, endpoint: str, sampling_ratio: float = 1.0) -> Generator[Tracer]:
    """Send traces to a collector while the body runs; without an endpoint there are none."""
    if not endpoint:
        yield NO_TRACER
        return
    from servicekit.traceexport import exporting

    with exporting(service, endpoint, sampling_ratio) as tracer:
        yield tracer


def with_trace(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Let a line of the log say which trace it belongs to."""
    line.update(current().ids)
    return line
