"""When many nodes fall silent together, it is the bus that is ill and not they.

Machines die one by one; a bus, or the network to it, takes many at once. Whoever let all their
Leases go would have the pods of half a pool started anew elsewhere, while they run on. So the
Leases of those who fell silent together go on for a tolerance. One that was silent before them, or
stays silent after the others are back, is treated as everywhere in Kubernetes.
"""

from typing import Final

from contract.ids import NodeName

SMALLEST_POOL: Final = 3
"""In a smaller one, one node is a third already."""
_LONG_AGO: Final = float("-inf")
SHARE: Final = 3
"""More than one of so many is a fault of the bus."""


class Silences:
    """Since when each node of the pool has been silent."""

    def __init__(self, *, window_s: float, tolerance_s: float) -> None:
        self._window_s = window_s
        self._tolerance_s = tolerance_s
        self._since: dict[NodeName, float | None] = {}

    def note(self, node: NodeName, now: float, *, alive: bool, ready: bool = True) -> None:
        """Take in whether a node of the pool is known to live.

        Of one that was never seen alive, `ready` is what the API shows of it: a leader that has
        just begun must not wake those that were dead before.
        """
        if alive:
            self._since[node] = None
        elif node not in self._since:
            self._since[node] = now if ready else _LONG_AGO
        elif self._since[node] is None:
            self._since[node] = now

    def forget(self, node: NodeName) -> None:
        """A node that nobody holds is none of the pool."""
        self._since.pop(node, None)

    def tolerated(self, node: NodeName, now: float) -> bool:
        """Say whether this node's silence is one with that of more than a third of the pool."""
        since = self._since.get(node)
        if since is None or now - since >= self._tolerance_s:
            return False
        together = sum(
            other is not None and abs(other - since) <= self._window_s
            for other in self._since.values()
        )
        return len(self._since) >= SMALLEST_POOL and together * SHARE > len(self._since)
