"""The real OpenTelemetry Collector, which takes traces over HTTP and writes them down as text."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from controlplane import Component
from controlplane.building import MODULES, GoModule, built
from controlplane.ports import free_ports
from controlplane.settings import read_settings

COLLECTOR: Final = GoModule(
    folder=MODULES / "otel-collector", cache="otel-collector", programs=("otelcol-traces",)
)
READY = "Everything is ready."


class WrittenSpan(NamedTuple):
    """One span as the collector understood it."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    status: str
    attributes: dict[str, str]


class OtelCollector:
    """Listens on loopback from `with` on, at `url`."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._written = folder / "spans.txt"
        config = folder / "config.yaml"
        config.write_text(json.dumps(_config(port, self._written)))  # JSON is YAML
        program = built(COLLECTOR, read_settings()).path("otelcol-traces")
        self.process = Component(
            "otel-collector",
            [program, f"--config=file:{config}"],
            folder / "otel-collector.log",
            lambda: READY in self.process.log_tail(),
        )

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def spans(self) -> list[WrittenSpan]:
        return list(_read(self._written.read_text()))


def _config(port: int, written: Path) -> dict[str, object]:
    debug = {
        "verbosity": "detailed",
        "use_internal_logger": False,
        "output_paths": [str(written)],
    }
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"debug": debug},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},  # else it takes a port for its own
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
        },
    }


def _read(text: str) -> Iterator[WrittenSpan]:
    """Those that are written whole."""
    for resource in re.split(r"^ResourceSpans #\d+$", text, flags=re.MULTILINE)[1:]:
        of_service, *spans = re.split(r"^Span #\d+$", resource, flags=re.MULTILINE)
        service = _attributes(of_service)["service.name"]
        for span in spans:
            said = dict(re.findall(r"^    (\w[\w ]*?) *: ?(.*)$", span, re.MULTILINE))
            if "DroppedLinksCount" not in said:
                continue  # more is being written
            yield WrittenSpan(
                service=service,
                name=said["Name"],
                trace_id=said["Trace ID"],
                span_id=said["ID"],
                parent_id=said["Parent ID"],
                status=said["Status code"],
                attributes=_attributes(span),
            )


def _attributes(text: str) -> dict[str, str]:
    return dict(re.findall(r"^     -> ([\w.]+): Str\((.*)\)$", text, re.MULTILINE))
