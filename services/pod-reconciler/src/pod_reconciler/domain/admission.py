"""Deciding about a pod, once: by the field table, by its plan, by the room on the node.

The sum of what admitted pods take is kept, because adding them all up for each new one is
quadratic. Placement (labels, taints) was the scheduler's to judge: a reconciler may not read Nodes.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import msgspec

from contract.ids import PodUid
from contract.messages.node import NodeFacts
from podspec.admission import FEATURE_REASON, unsupported
from podspec.errors import QuantityError
from podspec.fitting import pod_requests, shortage
from podspec.placement import NodeFacts as Room
from podspec.placement import Rejection
from podspec.reviewing import review

UNEXPECTED: Final = "UnexpectedAdmissionError"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pod was turned away, in the words of its status and Event."""

    reason: str
    message: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: admitted where there is no refusal. What is ignored is told to the user."""

    refusal: Refusal | None = None
    ignored: tuple[str, ...] = ()


class Occupancy:
    """What the pods of one node take of it."""

    def __init__(self) -> None:
        self._amounts: dict[PodUid, dict[str, Fraction]] = {}
        self.total: dict[str, Fraction] = {}

    def take(self, uid: PodUid, pod: Mapping[str, Any]) -> None:
        """Count a pod in. One whose quantities cannot be read counts as nothing."""
        try:
            amounts = pod_requests(pod)
        except QuantityError:
            return
        self.release(uid)
        self._amounts[uid] = amounts
        for resource, amount in amounts.items():
            self.total[resource] = self.total.get(resource, Fraction(0)) + amount

    def counts(self, uid: PodUid) -> bool:
        """Whether a pod is counted."""
        return uid in self._amounts

    def release(self, uid: PodUid) -> None:
        """Count a pod out; one that is not counted is no mistake."""
        for resource, amount in self._amounts.pop(uid, {}).items():
            self.total[resource] -= amount


def decide(
    pod: Mapping[str, Any], facts: NodeFacts | None, taken: Occupancy, runtime_handler: str = ""
) -> Decision:
    """Say whether this node takes this pod beside those that it has."""
    found = review(pod)
    rejection = unsupported(found) or _without_runtime(runtime_handler, facts)
    if rejection is None and facts is not None:
        try:
            rejection = shortage(pod_requests(pod), taken.total, room_of(facts))
        except QuantityError as error:
            return Decision(refusal=Refusal(reason=UNEXPECTED, message=str(error)))
    if rejection is not None:
        return Decision(refusal=Refusal(reason=rejection.reason, message=rejection.message))
    return Decision(ignored=tuple(str(finding) for finding in found.ignored))


def _without_runtime(handler: str, facts: NodeFacts | None) -> Rejection | None:
    if not handler or facts is None or handler in facts.runtimes:
        return None
    message = f'spec.runtimeClassName: no runtime for "{handler}" is configured'
    return Rejection(FEATURE_REASON, message)


def room_of(facts: NodeFacts) -> Room:
    """What pods may take of a node, as its status says it."""
    return Room(
        allocatable={
            "pods": str(facts.pods),
            "cpu": f"{facts.allocatable_cpu_millis}m",
            "memory": str(facts.allocatable_memory_bytes),
            "ephemeral-storage": str(facts.ephemeral_storage_bytes),
        }
    )
