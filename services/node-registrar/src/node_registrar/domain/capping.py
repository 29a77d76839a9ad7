"""How much of a machine a node may show: as much as the executor says, up to the configured caps.

Applied once, when an executor tells of its machine, and to the unit that a Node shows. So a
registrar that has just begun, and knows the machine by its Node alone, says the same as the one
before it: pods whose variables name the size of their node keep their plan.
"""

import msgspec

from contract.messages.node import NodeFacts
from node_registrar.domain import quantities
from node_registrar.settings import RegistrarSettings


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """What no node shows more of; 0: no cap. CPU in thousandths of a core."""

    cpu_millis: int = 0
    memory_bytes: int = 0
    ephemeral_storage_bytes: int = 0
    pods: int = 0


def caps_of(settings: RegistrarSettings) -> Caps:
    """Return the caps that these settings describe."""
    return Caps(
        cpu_millis=settings.max_cpu_millis,
        memory_bytes=settings.max_memory_bytes,
        ephemeral_storage_bytes=settings.max_ephemeral_storage_bytes,
        pods=settings.max_pods,
    )


def within(facts: NodeFacts, caps: Caps) -> NodeFacts:
    """Return what is believed of a machine: allocatable is never below zero nor above capacity."""
    cpu_millis = _capped(facts.cpu_millis, caps.cpu_millis)
    memory_bytes = _capped(facts.memory_bytes, caps.memory_bytes)
    storage_bytes = _capped(facts.ephemeral_storage_bytes, caps.ephemeral_storage_bytes)
    return msgspec.structs.replace(
        facts,
        cpu_millis=cpu_millis,
        memory_bytes=quantities.whole_size(memory_bytes),
        ephemeral_storage_bytes=quantities.whole_size(storage_bytes),
        pods=_capped(facts.pods, caps.pods),
        allocatable_cpu_millis=min(cpu_millis, max(0, facts.allocatable_cpu_millis)),
        allocatable_memory_bytes=quantities.whole_size(
            min(memory_bytes, max(0, facts.allocatable_memory_bytes))
        ),
    )


def _capped(value: int, cap: int) -> int:
    return max(0, min(value, cap) if cap else value)
