"""Kubernetes' two forms of a time: whole seconds in objects, microseconds in Leases."""

from datetime import UTC, datetime


def whole_time(at: datetime) -> str:
    """Return metav1.Time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(at: datetime) -> str:
    """Return metav1.MicroTime."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
