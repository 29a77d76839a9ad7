"""Recording traces and sending them to a collector, by OpenTelemetry. Imported only where it is on.

A thread of its own sends what has ended. What the collector does not take in time, or what would be
too much to keep for it, is dropped and counted: a trace never delays what it follows.
"""

import logging
import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from typing import Final, Self, override

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter

from servicekit.tracing import CURRENT, NO_SPAN, Attributes, Kind, Span, Tracer

log = structlog.get_logger()

QUEUE_SPANS: Final = 4096
"""What is kept for a collector that is away or slow: some 300 starts."""
BATCH_SPANS: Final = 512
SEND_INTERVAL_S: Final = 1.0
SEND_TIMEOUT_S: Final = 5.0
FLUSH_TIMEOUT_S: Final = 3.0
"""How long the end of a service may take for the rest."""
MOST_STATE_BYTES: Final = 512
"""Of `tracestate`, as its specification says."""

SPANS: Final = Counter(
    "wasmlet_trace_spans",
    "Spans for the collector of traces: sent, refused by it or unanswered, or dropped unsent.",
    ["outcome"],
)

_KINDS: Final[Mapping[Kind, trace.SpanKind]] = {
    "internal": trace.SpanKind.INTERNAL,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
}
_WIRE: Final = TraceContextTextMapPropagator()


class RecordedSpan(Span):
    """A step that is told of, or that another service tells of."""

    __slots__ = ("_span", "_token", "_tracer", "is_open")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._token: Token[Span] | None = None
        self.is_open = True

    @property
    @override
    def headers(self) -> dict[str, str]:  # type: ignore[override]  # read alone
        carrier: dict[str, str] = {}
        _WIRE.inject(carrier, _within(self._span))
        return carrier

    @property
    @override
    def ids(self) -> Mapping[str, str]:  # type: ignore[override]  # read alone
        told = self._span.get_span_context()
        return {
            "trace_id": trace.format_trace_id(told.trace_id),
            "span_id": trace.format_span_id(told.span_id),
        }

    @override
    def begin(
        self, name: str, attributes: Attributes | None = None, kind: Kind = "internal"
    ) -> Span:
        child = self._tracer.start_span(
            name, _within(self._span), kind=_KINDS[kind], attributes=attributes
        )
        return RecordedSpan(self._tracer, child)

    @override
    def here(self) -> "_Here":
        return _Here(self)

    @override
    def failed(self, reason: str) -> None:
        self._span.set_attribute("error.type", reason)
        self._span.set_status(trace.StatusCode.ERROR, reason)

    @override
    def end(self) -> None:
        if self.is_open:
            self.is_open = False
            self._span.end()

    @override
    def __enter__(self) -> Self:
        self._token = CURRENT.set(self)
        return self

    @override
    def __exit__(self, kind: object = None, error: object = None, *_: object) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)
        if error is not None:
            self.failed(type(error).__name__)
        self.end()


class _Here:
    """A span as the current one, for as long as a body runs."""

    def __init__(self, span: RecordedSpan) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = CURRENT.set(self._span)
        return self._span

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._token)


class RecordingTracer(Tracer):
    """See the module."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @override
    def root(self, name: str, attributes: Attributes) -> Span:
        span = self._tracer.start_span(name, Context(), attributes=attributes)
        return RecordedSpan(self._tracer, span) if span.is_recording() else NO_SPAN

    @override
    def arrived(self, headers: Mapping[str, str] | None) -> Span:
        """Go on with what a message brings; what cannot be read brings nothing."""
        if not headers:
            return NO_SPAN
        state = headers.get("tracestate", "")
        carrier = {
            "traceparent": headers.get("traceparent", ""),
            "tracestate": state if len(state) <= MOST_STATE_BYTES else "",
        }
        span = trace.get_current_span(_WIRE.extract(carrier, Context()))
        told = span.get_span_context()
        is_recorded = told.is_valid and told.trace_flags.sampled
        return RecordedSpan(self._tracer, span) if is_recorded else NO_SPAN


def _within(span: trace.Span) -> Context:
    return trace.set_span_in_context(span, Context())


class _Outlet(SpanExporter):
    """Counts what is sent, and tells once when the collector takes no more, and when it does."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.taken = 0
        self._is_failing = False

    def is_news(self, _: logging.LogRecord) -> bool:
        """Whether the library's own word, which has the reason, is worth a line."""
        return not self._is_failing

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        SPANS.labels("failed" if failed else "sent").inc(len(spans))
        if failed and not self._is_failing:
            log.warning("traces.lost", spans=len(spans), metric="wasmlet_trace_spans_total")
        elif self._is_failing and not failed:
            log.info("traces.taken_again")
        self._is_failing = failed
        return result

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Queue(BatchSpanProcessor):
    """Bounded: what does not fit is counted. All spans end in one thread, and one other sends."""

    def __init__(self, outlet: _Outlet) -> None:
        super().__init__(
            outlet,
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=SEND_INTERVAL_S * 1000,
            max_export_batch_size=BATCH_SPANS,
        )
        self._outlet = outlet
        self._accepted = 0

    @override
    def on_end(self, span: ReadableSpan) -> None:
        if self._accepted - self._outlet.taken >= QUEUE_SPANS:
            SPANS.labels("dropped").inc()
            return
        self._accepted += 1
        super().on_end(span)


@contextmanager
def exporting(service: str, endpoint: str, sampling_ratio: float) -> Generator[Tracer]:
    """Send to `endpoint`, a collector's base address, until the body is left."""
    url = f"{endpoint.rstrip('/')}/v1/traces"
    outlet = _Outlet(trace_exporter.OTLPSpanExporter(url, timeout=SEND_TIMEOUT_S))
    # Of a collector that stays away one line is enough.
    library = logging.getLogger(trace_exporter.__name__)
    library.addFilter(outlet.is_news)
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(sampling_ratio)),
        resource=Resource.create(
            {
                "service.namespace": "wasmlet",
                "service.name": service,
                "service.instance.id": str(uuid.uuid4()),
            }
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_Queue(outlet))
    log.info("traces.on", sampling_ratio=sampling_ratio)
    try:
        yield RecordingTracer(provider.get_tracer("wasmlet"))
    finally:
        # A collector that hangs may keep the library for longer than anybody waits.
        flush = threading.Thread(target=provider.shutdown, name="traces-flush", daemon=True)
        flush.start()
        flush.join(FLUSH_TIMEOUT_S)
        library.removeFilter(outlet.is_news)
