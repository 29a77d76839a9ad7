"""The status file in which the reconciler says what static pods do."""

from pathlib import Path

import msgspec

from contract.staticstatus import StaticStatus


def read_status(file: Path) -> StaticStatus:
    """Return what the file says now, nothing where it is not there yet."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=StaticStatus)
    except FileNotFoundError:
        return StaticStatus()
