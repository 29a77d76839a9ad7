"""The keeper's own log: JSON lines on stderr, of the form that the other services write."""

import os
from contextlib import suppress
from datetime import UTC, datetime

import msgspec


def emit(event: str, **fields: object) -> None:
    """Write one line; a reader that is gone must not end the containers."""
    line = {"event": event, "service": "keeper", "timestamp": datetime.now(UTC), **fields}
    with suppress(OSError):
        os.write(2, msgspec.json.encode(line) + b"\n")
