"""Structured logs: JSON lines on stdout, a readable form on a terminal.

Records of the standard library (nats, uvicorn, wasmtime's bindings) pass through the same
processors, so that a line has the same fields whoever wrote it.
"""

import logging
import sys

import structlog

from servicekit.tracing import with_trace


def configure_logging(service: str, level: str, form: str) -> None:
    """Set up logging of this process. `form` is `json`, `console` or `auto`."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        with_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = _console() if console else structlog.processors.JSONRenderer()
    if console:
        shared.pop()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # "Started server process", "Application startup complete": our own events say what matters.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _console() -> structlog.typing.Processor:
    """Render for a terminal, without the pretty traceback: it prints local variables, and those
    hold plans with their secrets.
    """
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
