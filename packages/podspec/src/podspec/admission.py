"""Admit a pod to a Node, once, before anything of it runs. Pure.

A pod that cannot be had whole is rejected whole: phase Failed, with a reason that tools know and a
message that names the field. A pod that runs already is never asked again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from podspec.errors import QuantityError
from podspec.fitting import pod_requests, shortage
from podspec.occupancy import Occupancy, host_ports
from podspec.placement import NodeFacts, Rejection, predicate, untolerated, wrong_node, wrong_os
from podspec.reviewing import Finding, Review, review

FEATURE_REASON: Final = "PodFeatureUnsupported"
UNEXPECTED_REASON: Final = "UnexpectedAdmissionError"
# Enough to see what is wrong; the rest is counted.
_NAMED_FINDINGS: Final = 10
# The priority of system-cluster-critical; what is higher keeps the cluster itself up.
_CRITICAL_PRIORITY: Final = 2_000_000_000


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: admitted if there is no rejection. What is ignored is told to the user."""

    rejection: Rejection | None = None
    ignored: tuple[Finding, ...] = ()


def admit(
    pod: Mapping[str, Any], node: NodeFacts, taken: Occupancy, *, is_static: bool = False
) -> Admission:
    """Whether this Node takes this pod beside those it has, in the kubelet's order of reasons.

    For want of room no critical pod is rejected, and a static pod is one; nor does a taint keep a
    static pod away.
    """
    found = review(pod)
    rejection = wrong_os(pod, node) or unsupported(found)
    if rejection is None:
        try:
            rejection = next(_general(pod, node, taken, is_static=is_static), None)
        except QuantityError as error:
            rejection = Rejection(UNEXPECTED_REASON, str(error))
    return Admission(rejection=rejection, ignored=found.ignored)


def unsupported(found: Review) -> Rejection | None:
    """The rejection of a pod that uses refused fields, each of them named."""
    if not found.refused:
        return None
    return Rejection(FEATURE_REASON, "; ".join(named(found.refused)))


def named(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The findings as users are told them: the first few by name, the others by their number."""
    more = len(findings) - _NAMED_FINDINGS
    first = tuple(str(finding) for finding in findings[:_NAMED_FINDINGS])
    return (*first, f"and {more} more") if more > 0 else first


def is_critical(pod: Mapping[str, Any]) -> bool:
    """Whether the cluster cannot do without the pod, by its priority."""
    priority = (pod.get("spec") or {}).get("priority")
    return isinstance(priority, int) and priority >= _CRITICAL_PRIORITY


def _general(
    pod: Mapping[str, Any], node: NodeFacts, taken: Occupancy, *, is_static: bool
) -> Iterator[Rejection]:
    """What the kubelet calls the general predicates."""
    short = shortage(pod_requests(pod), taken.total, node)
    if short is not None and not (is_static or is_critical(pod)):
        yield short
    if (elsewhere := wrong_node(pod, node)) is not None:
        yield elsewhere
    if not all(map(taken.has_free, host_ports(pod))):
        yield predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    if not is_static and (evicted := untolerated(pod, node)) is not None:
        yield evicted
