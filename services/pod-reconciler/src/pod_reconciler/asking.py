"""Asking the API about pods that a node reports and the watch does not show.

Absence from a watch proves nothing: only a GET by name that answers 404, or another UID, does.
"""

from contract.ids import PodUid
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.links import Links


class Inquirer:
    """The step of one node's question lane."""

    def __init__(self, view: NodeView, links: Links) -> None:
        self._view = view
        self._links = links

    async def step(self, uid: PodUid) -> float | None:
        """Ask about one stranger, if it is time; how long until the next time."""
        stranger = self._view.strangers.get(uid)
        if stranger is None or not self._view.is_live:
            return None
        left_s = stranger.ask_at_s - self._links.clock()
        if left_s > 0:
            return left_s
        async with self._links.write_slots:
            found = await self._links.cluster.find(
                stranger.namespace, stranger.name, self._links.write_timeout_s()
            )
        self._view.on_answer(uid, found, self._links.clock())
        return 0.0
