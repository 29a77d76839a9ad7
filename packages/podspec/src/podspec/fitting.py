"""Whether a pod fits beside those admitted before it, counted as the kubelet counts. Pure."""

from collections.abc import Callable, Mapping
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

    Sidecars count with the containers; of the other init containers the one that needs most while
    it runs, beside the sidecars before it, is the least that the pod takes. A limit without request
    counts as the request, as the API server fills it in.
    """
    spec = pod.get("spec") or {}
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _requests(container))
    sidecars: Amounts = {}
    least: Amounts = {}
    for container in spec.get("initContainers") or ():
        needed = dict(sidecars)
        _add(needed, _requests(container))
        if container.get("restartPolicy") == "Always":
            _add(total, _requests(container))
            sidecars = needed
        _raise(least, needed)
    _raise(total, least)
    _add(total, spec.get("overhead") or {})
    return {"pods": Fraction(1), **total}


def shortage(requested: Amounts, used: Amounts, node: NodeFacts) -> Rejection | None:
    """The first resource of which too little is left; one that allocatable lacks is not counted.

    Raises QuantityError for a quantity that is none.
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


def _requests(container: Mapping[str, Any]) -> Mapping[str, Any]:
    resources = container.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def _raise(total: Amounts, least: Amounts) -> None:
    for resource, amount in least.items():
        total[resource] = max(total.get(resource, amount), amount)


def _add(total: Amounts, amounts: Mapping[str, Any]) -> None:
    for resource, quantity in amounts.items():
        total[resource] = total.get(resource, Fraction(0)) + parse_quantity(quantity)
