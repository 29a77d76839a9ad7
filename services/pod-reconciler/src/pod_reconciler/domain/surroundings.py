"""What a pod may ask about the node that it is on."""

import msgspec

from pod_reconciler.domain.pod import Pod


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod may ask about its node. A pod shares its node's address here (host network)."""

    node: str
    host_ip: str
    runtime_handler: str = ""


def pod_ip(pod: Pod, around: Surroundings) -> str:
    """The pod's address: what the API shows once it does, for it never changes."""
    return str(pod.status.get("podIP") or around.host_ip)
