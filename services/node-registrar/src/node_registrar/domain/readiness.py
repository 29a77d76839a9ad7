"""Why a Node is not ready, in the words of its `Ready` condition."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from node_registrar.domain.addresses import Endpoint

SHUTTING_DOWN: Final = "node is shutting down"
NO_ADDRESS: Final = "the address of the kubelet API is not known yet"

_NEEDED: Final = ("cpu", "memory", "pods")


def problems(
    *,
    shutting_down: bool,
    endpoint: Endpoint | None,
    refusal: str | None,
    capacity: Mapping[str, Any],
) -> Iterator[str]:
    """Yield what keeps the Node from being ready."""
    missing = [name for name in _NEEDED if name not in capacity]
    if missing:
        yield f"missing node capacity for resources: {', '.join(missing)}"
    if shutting_down:
        yield SHUTTING_DOWN
    if refusal is not None:
        yield f"the address of the kubelet API cannot be used: {refusal}"
    elif endpoint is None:
        yield NO_ADDRESS


def tells_of_shutdown(ready: Mapping[str, Any]) -> bool:
    """Say whether a `Ready` condition, as the API has it, was written for a node that shuts down.

    A registrar that has just started knows no better until the first beat.
    """
    return SHUTTING_DOWN in str(ready.get("message", "")).split(", ")
