"""RFC 3339 times as nanoseconds since the epoch, and in the form of `kubectl logs --timestamps`.

A datetime has microseconds only, so the fraction is kept beside it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

NANOSECONDS: Final = 1_000_000_000

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CANONICAL_LENGTH: Final = len("2006-01-02T15:04:05.000000000Z")


def nanoseconds(text: str) -> int:
    """Return the nanoseconds since the epoch of an RFC 3339 time; raises `ValueError`."""
    whole, fraction, offset = _parts(text)
    since = datetime.fromisoformat(whole + offset) - _EPOCH
    return since // timedelta(seconds=1) * NANOSECONDS + int(fraction)


def fixed(text: str) -> str:
    """Return the same time with exactly nine digits of fraction, in its own offset."""
    whole, fraction, offset = _parts(text)
    return f"{whole}.{fraction}{'Z' if offset[1:] == '00:00' else offset}"


def is_canonical(stamp: bytes) -> bool:
    """Say whether a matched stamp is UTC with nine digits, which sorts as its time does."""
    return len(stamp) == _CANONICAL_LENGTH and stamp[-1:] == b"Z"


def canonical(instant_ns: int) -> bytes:
    """Return the canonical stamp of a time, clamped to the years that one can write."""
    try:
        whole = _EPOCH + timedelta(seconds=instant_ns // NANOSECONDS)
    except OverflowError:
        return b"0001-01-01T00:00:00.000000000Z" if instant_ns < 0 else b"9999-12-31T23:59:60Z"
    head = whole.replace(tzinfo=None).isoformat()
    return f"{head}.{instant_ns % NANOSECONDS:09d}Z".encode()


def _parts(text: str) -> tuple[str, str, str]:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    whole, fraction, offset = match.groups()
    return whole, (fraction or "").ljust(9, "0"), offset
