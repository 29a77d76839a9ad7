"""`resourceFieldRef`: what a container may take, as a whole number of divisors, rounded up."""

from fractions import Fraction
from typing import Final

from pod_reconciler.domain.container import Container
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.surroundings import Allocatable, Surroundings
from pod_reconciler.domain.variable import ResourceFieldRef
from pod_reconciler.errors import ContainerConfigError
from podspec.errors import QuantityError
from podspec.quantity import milli_units, parse_quantity, whole_units

_CPU: Final = "cpu"
_RESOURCES: Final = frozenset({_CPU, "memory", "ephemeral-storage"})
_SIDES: Final = frozenset({"limits", "requests"})


def resource_value(
    wanted: ResourceFieldRef, container: Container, pod: Pod, around: Surroundings
) -> str:
    """The amount that is asked for; raises `ContainerConfigError`."""
    side, _, resource = wanted.resource.partition(".")
    if side not in _SIDES or resource not in _RESOURCES:
        raise ContainerConfigError(f"unsupported container resource : {wanted.resource}")
    if wanted.container_name:
        container = _named(wanted.container_name, pod)
    try:
        amount = _amount(container, side, resource, around.allocatable)
        divisor = parse_quantity(wanted.divisor) or Fraction(1)
    except QuantityError as error:
        raise ContainerConfigError(str(error)) from error
    # Both are rounded up to the kubelet's units first: thousandths of a core, or bytes.
    units = milli_units if resource == _CPU else whole_units
    return str(-(-units(amount) // units(divisor)))


def _named(name: str, pod: Pod) -> Container:
    for placed in pod.spec.placed():
        if placed.container.name == name:
            return placed.container
    raise ContainerConfigError(f"container {name} not found")


def _amount(
    container: Container, side: str, resource: str, allocatable: Allocatable | None
) -> Fraction:
    written = (container.resources.get(side) or {}).get(resource)
    amount = Fraction(0) if written is None else parse_quantity(written)
    if amount or side == "requests":
        return amount
    if allocatable is None:
        raise ContainerConfigError("failed to find node object: its resources are not known yet")
    return {
        _CPU: Fraction(allocatable.cpu_millis, 1000),
        "memory": Fraction(allocatable.memory_bytes),
        "ephemeral-storage": Fraction(allocatable.ephemeral_storage_bytes),
    }[resource]
