"""Admit a pod to a Node, once, before anything of it runs. Pure.

A pod that cannot be had whole is rejected whole: phase Failed, with a reason that tools know and a
message that names the field. A pod that runs already is never asked again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from podspec.errors import QuantityError
from podspec.fitting import misfit
from podspec.placement import NodeFacts, Rejection, misplacement
from podspec.reviewing import Finding, Review, review

__all__ = ["Admission", "Finding", "NodeFacts", "Rejection", "Review", "admit", "review"]

FEATURE_REASON: Final = "PodFeatureUnsupported"
# Enough to see what is wrong; the rest is counted.
_NAMED_FINDINGS: Final = 10


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: admitted if there is no rejection. What is ignored is told to the user."""

    rejection: Rejection | None = None
    ignored: tuple[Finding, ...] = ()


def admit(
    pod: Mapping[str, Any], node: NodeFacts, admitted: Iterable[Mapping[str, Any]] = ()
) -> Admission:
    """Whether this Node takes this pod beside those it has: place, then fields, then room."""
    found = review(pod)
    rejection = misplacement(pod, node) or unsupported(found)
    if rejection is None:
        try:
            rejection = misfit(pod, node, admitted)
        except QuantityError as error:
            rejection = Rejection("UnexpectedAdmissionError", str(error))
    return Admission(rejection=rejection, ignored=found.ignored)


def unsupported(found: Review) -> Rejection | None:
    """The rejection of a pod that uses refused fields, each of them named."""
    if not found.refused:
        return None
    named = "; ".join(str(finding) for finding in found.refused[:_NAMED_FINDINGS])
    more = len(found.refused) - _NAMED_FINDINGS
    return Rejection(FEATURE_REASON, f"{named}; and {more} more" if more > 0 else named)
