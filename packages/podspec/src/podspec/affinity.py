"""Whether a Node is one that a pod asks for: its nodeSelector, and the affinity that it requires.

The rules are the scheduler's. A requirement that makes no sense lets its term match nothing.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

type Requirement = Mapping[str, Any]

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")


def wants_node(pod: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """Whether the Node of this name, with these labels, is one that the pod asks for."""
    spec = pod.get("spec") or {}
    selector = spec.get("nodeSelector") or {}
    if any(labels.get(label) != value for label, value in selector.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return any(_matches(term, {"metadata.name": name}, labels) for term in terms)


def _matches(term: Mapping[str, Any], fields: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    by_label = term.get("matchExpressions") or ()
    by_field = term.get("matchFields") or ()
    if not by_label and not by_field:
        return False  # an empty term is no term
    return all(_holds(each, labels) for each in by_label) and all(
        _holds_for_field(each, fields) for each in by_field
    )


def _holds_for_field(requirement: Requirement, fields: Mapping[str, str]) -> bool:
    values = _values(requirement)
    if requirement.get("operator") not in ("In", "NotIn") or len(values) != 1:
        return False
    is_equal = fields.get(requirement.get("key", ""), "") == values[0]
    return is_equal is (requirement["operator"] == "In")


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    values = _values(requirement)
    value = labels.get(requirement.get("key", ""))
    match requirement.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return bool(values) and value not in values
        case "Exists":
            return not values and value is not None
        case "DoesNotExist":
            return not values and value is None
        case "Gt" | "Lt" as operator:
            return len(values) == 1 and _compares(operator, value, values[0])
        case _:
            return False


def _values(requirement: Requirement) -> list[str]:
    return requirement.get("values") or []


def _compares(operator: str, value: str | None, bound: str) -> bool:
    if value is None or not (_INTEGER.fullmatch(value) and _INTEGER.fullmatch(bound)):
        return False
    return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)
