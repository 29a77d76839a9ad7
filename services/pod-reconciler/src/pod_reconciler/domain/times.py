"""Times as the API server writes them: UTC, whole seconds, cut off rather than rounded."""

from datetime import UTC, datetime
from typing import Final

UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands in messages for a time that nobody knows; null in the API."""


def api_time_or_null(moment: datetime) -> str | None:
    """The API's form; null for a time that nobody knows."""
    return None if moment == UNKNOWN_TIME else api_time(moment)


def api_time(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: object) -> datetime | None:
    """The moment that an API time names; None for null or what is no time."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
