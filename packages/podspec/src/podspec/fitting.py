"""Whether a pod fits beside those admitted before it, counted as the kubelet counts. Pure."""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from podspec.placement import NodeFacts, Rejection
from podspec.quantity import milli_units, parse_quantity, whole_units

type Amounts = dict[str, Fraction]

# In the kubelet's order, with the unit in which it prints the figures.
_COUNTED: Final[tuple[tuple[str, Callable[[Fraction], int]], ...]] = (
    ("pods", whole_units),
    ("cpu", milli_units),
    ("memory", whole_units),
    ("ephemeral-storage", whole_units),
)


def pod_requests(pod: Mapping[str, Any]) -> Amounts:
    """What a pod takes: the sum of its containers' requests, its overhead, and itself as one pod.

    A limit without request counts as the request, as the API server fills it in.
    """
    spec = pod.get("spec") or {}
    total: Amounts = {"pods": Fraction(1)}
    for container in spec.get("containers") or ():
        resources = container.get("resources") or {}
        _add(total, {**(resources.get("limits") or {}), **(resources.get("requests") or {})})
    _add(total, spec.get("overhead") or {})
    return total


def misfit(
    pod: Mapping[str, Any], node: NodeFacts, admitted: Iterable[Mapping[str, Any]]
) -> Rejection | None:
    """The first resource of which too little is left; one that allocatable lacks is not counted.

    `admitted` are the other pods on the Node that have not ended. Raises QuantityError for a
    quantity that is none.
    """
    used: Amounts = {}
    for other in admitted:
        for resource, amount in pod_requests(other).items():
            used[resource] = used.get(resource, Fraction(0)) + amount
    return shortage(pod_requests(pod), used, node)


def shortage(requested: Amounts, used: Amounts, node: NodeFacts) -> Rejection | None:
    """The same for who keeps the sum of what is in use, because adding up all pods of a Node for
    each new one is quadratic.
    """
    for resource, unit in _COUNTED:
        if resource not in node.allocatable:
            continue
        capacity = parse_quantity(node.allocatable[resource])
        ask, taken = requested.get(resource, Fraction(0)), used.get(resource, Fraction(0))
        if ask > 0 and taken + ask > capacity:
            return Rejection(
                f"OutOf{resource}",
                f"Node didn't have enough resource: {resource}, requested: {unit(ask)}, "
                f"used: {unit(taken)}, capacity: {unit(capacity)}",
            )
    return None


def _add(total: Amounts, amounts: Mapping[str, Any]) -> None:
    for resource, quantity in amounts.items():
        total[resource] = total.get(resource, Fraction(0)) + parse_quantity(quantity)
