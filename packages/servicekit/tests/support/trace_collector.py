"""A real receiver of OTLP over HTTP, which keeps the spans that it is sent."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

# mypy: disable-error-code="no-any-unimported, attr-defined"


class ReceivedSpan(NamedTuple):
    """One span as the wire says it."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    error: str
    attributes: dict[str, str]


class Collector:
    """Serves on loopback from its start on; `answer` is the status of its next answers."""

    def __init__(self) -> None:
        self.answer = 200
        self.requests = 0
        self.bodies: list[bytes] = []
        self._spans: list[ReceivedSpan] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = collector.take(self.path, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        return list(self._spans)

    def take(self, path: str, body: bytes) -> int:
        self.requests += 1
        if self.answer == 200:
            if path != "/v1/traces":
                return 404
            self.bodies.append(body)
            self._spans += _read(body)
        return self.answer


def _read(body: bytes) -> Iterator[ReceivedSpan]:
    for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _attributes(of_service.resource.attributes)
        for scope in of_service.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    service=resource["service.name"],
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    error=span.status.message if span.status.code == 2 else "",
                    attributes=_attributes(span.attributes),
                )


def _attributes(found: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in found}
