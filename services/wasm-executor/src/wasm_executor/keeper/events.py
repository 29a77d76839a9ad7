"""The keeper's own log on stderr: JSON lines or console lines, as the other services write them.

structlog would weigh more than the keeper itself.
"""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

_LEVELS: Final = ("debug", "info", "warning", "error")
_KEPT: Final = {"level": "info", "form": "json"}


def configure_events(level: str, form: str) -> None:
    """Set what is written, by the same words as `WASMLET_LOG_LEVEL` and `WASMLET_LOG_FORMAT`."""
    _KEPT["level"] = level if level in _LEVELS else "info"
    _KEPT["form"] = "console" if form == "auto" and sys.stderr.isatty() else form


def emit(event: str, **fields: object) -> None:
    """Write one line about what is as it should be."""
    _write("info", event, fields)


def warn(event: str, **fields: object) -> None:
    """Write one line about what somebody may have to look at."""
    _write("warning", event, fields)


def _write(level: str, event: str, fields: dict[str, object]) -> None:
    if _LEVELS.index(level) < _LEVELS.index(_KEPT["level"]):
        return
    now = datetime.now(UTC)
    if _KEPT["form"] == "console":
        pairs = " ".join(f"{name}={value}" for name, value in fields.items())
        stamp = now.isoformat().replace("+00:00", "Z")
        text = f"{stamp} [{level:<9}] {event:<30} {pairs} service=keeper\n".encode()
    else:
        line = {"event": event, "level": level, "service": "keeper", "timestamp": now, **fields}
        text = msgspec.json.encode(line) + b"\n"
    # A reader that is gone must not end the containers.
    with suppress(OSError):
        os.write(2, text)
