"""When a node has ended, so that everybody lets go of it.

Its Node is not in the cluster, nobody has spoken for it for longer than a Lease, and nobody has its
name: it was given back, or its holder does not answer `/healthz` either. A Node that is there is
waited for, however silent: what becomes of its pods is up to whoever deletes it.
"""

from typing import Final

from node_registrar.domain.granting import Tenure

_NOBODYS: Final = frozenset({Tenure.VACANT, Tenure.RELEASED, Tenure.DEAD})


def has_ended(known: Tenure, *, has_node: bool, unheard_s: float, lease_s: float) -> bool:
    """Say whether a node is gone for good; `unheard_s` is since anybody spoke for it."""
    return not has_node and unheard_s > lease_s and known in _NOBODYS
