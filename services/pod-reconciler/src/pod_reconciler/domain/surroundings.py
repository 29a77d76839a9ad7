"""What a pod may ask about the node that it is on, and what the API holds for it."""

import msgspec

from contract.messages.node import NodeFacts
from pod_reconciler.domain.material import NO_MATERIAL, Material
from pod_reconciler.domain.pod import Pod


class Allocatable(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has for its pods: the limit of a container that sets none."""

    cpu_millis: int
    memory_bytes: int
    ephemeral_storage_bytes: int


class ClusterNames(msgspec.Struct, frozen=True, kw_only=True):
    """What resolves the names of the cluster."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod may ask about its node. A pod shares its node's address here (host network)."""

    node: str
    host_ip: str
    runtime_handler: str = ""
    allocatable: Allocatable | None = None
    """None while nobody has told of the node's machine."""
    names: ClusterNames = ClusterNames()
    material: Material = NO_MATERIAL


def surroundings_of(
    node: str, host_ip: str, facts: NodeFacts | None, names: ClusterNames
) -> Surroundings:
    """What is the same for all pods of a node."""
    allocatable = None
    if facts is not None:
        allocatable = Allocatable(
            cpu_millis=facts.allocatable_cpu_millis,
            memory_bytes=facts.allocatable_memory_bytes,
            ephemeral_storage_bytes=facts.ephemeral_storage_bytes,
        )
    return Surroundings(node=node, host_ip=host_ip, allocatable=allocatable, names=names)


def pod_ip(pod: Pod, around: Surroundings) -> str:
    """The pod's address: what the API shows once it does, for it never changes."""
    return str(pod.status.get("podIP") or around.host_ip)
