"""A machine as its Node shows it: what an executor told some registrar before this one began.

An executor tells again within half a minute. Until then pods that ask for their node's size would
be told that nobody knows it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from contract.messages.node import NodeFacts
from node_registrar.domain import quantities
from node_registrar.domain.node_view import NodeView

_NAMES: Final = ("cpu", "memory", "ephemeral-storage", "pods")


def shown_facts(view: NodeView) -> NodeFacts | None:
    """Return what pods may ask of the machine.

    None where the Node does not show all of it: what is half known would turn pods away.
    """
    capacity = _amounts(view.status.get("capacity") or {})
    allocatable = _amounts(view.status.get("allocatable") or {})
    handlers = (each.get("name") for each in view.status.get("runtimeHandlers") or ())
    runtimes = tuple(name for name in handlers if name)
    if not (capacity and allocatable and runtimes):
        return None
    cpu, memory, storage, pods = capacity
    return NodeFacts(
        cpu_millis=int(cpu * 1000),
        memory_bytes=int(memory),
        ephemeral_storage_bytes=int(storage),
        pods=int(pods),
        allocatable_cpu_millis=int(allocatable[0] * 1000),
        allocatable_memory_bytes=int(allocatable[1]),
        runtimes=runtimes,
    )


def _amounts(resources: Mapping[str, str]) -> list[Fraction] | None:
    shown = (quantities.amount(resources.get(name, "")) for name in _NAMES)
    known = [amount for amount in shown if amount is not None]
    return known if len(known) == len(_NAMES) else None
