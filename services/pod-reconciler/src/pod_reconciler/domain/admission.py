"""Deciding about a pod, once: by the field table, its place, the room on the node, its runtime."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from contract.messages.node import NodeFacts
from podspec.admission import FEATURE_REASON, UNEXPECTED_REASON, admit, named
from podspec.occupancy import Occupancy
from podspec.placement import NodeFacts as Place

UNEXPECTED: Final = UNEXPECTED_REASON
UNKNOWN_PLACE: Final = Place()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pod was turned away, in the words of its status and Event."""

    reason: str
    message: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: admitted where there is no refusal. What is ignored is told to the user."""

    refusal: Refusal | None = None
    ignored: tuple[str, ...] = ()


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod is judged by, beside itself."""

    facts: NodeFacts | None = None
    """What the executor says of its machine; None while it has not."""
    place: Place = UNKNOWN_PLACE
    """What the Node object says."""
    is_static: bool = False


def decide(pod: Mapping[str, Any], around: Circumstances, taken: Occupancy) -> Decision:
    """Say whether this node takes this pod beside those that it has."""
    node = msgspec.structs.replace(around.place, allocatable=_allocatable(around.facts))
    admission = admit(pod, node, taken, is_static=around.is_static)
    rejection = admission.rejection
    if rejection is not None:
        return Decision(refusal=Refusal(reason=rejection.reason, message=rejection.message))
    return Decision(ignored=named(admission.ignored))


def without_runtime(handler: str, facts: NodeFacts | None) -> Refusal | None:
    """Turn a pod away whose RuntimeClass stands for what this node has not."""
    if not handler or facts is None or handler in facts.runtimes:
        return None
    message = f'spec.runtimeClassName: no runtime for "{handler}" is configured'
    return Refusal(reason=FEATURE_REASON, message=message)


def _allocatable(facts: NodeFacts | None) -> dict[str, str]:
    """What pods may take of a node; what is not known is not counted."""
    if facts is None:
        return {}
    return {
        "pods": str(facts.pods),
        "cpu": f"{facts.allocatable_cpu_millis}m",
        "memory": str(facts.allocatable_memory_bytes),
        "ephemeral-storage": str(facts.ephemeral_storage_bytes),
    }
