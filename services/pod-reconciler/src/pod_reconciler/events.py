"""Events about pods, for each node within a budget of its own, as if its kubelet sent them.

One reconciler speaks for many nodes. Were they to share a queue and a budget, a node full of pods
that crash would use up both, and nobody would hear of the others.
"""

import asyncio

from contract.ids import NodeName
from kubekit.client import Api
from kubekit.events import EventRecorder, EventSender


class NodeEvents:
    """A sender and its task for each node that has had something to tell."""

    def __init__(self, api: Api, tasks: asyncio.TaskGroup) -> None:
        self._api = api
        self._tasks = tasks
        self._senders: dict[NodeName, EventSender] = {}
        self._recorders: dict[NodeName, EventRecorder] = {}

    def of(self, node: NodeName) -> EventRecorder:
        """The recorder that speaks for a node."""
        if node not in self._recorders:
            sender = self._senders[node] = EventSender(self._api)
            self._tasks.create_task(sender.run(), name=f"events-{node}")
            self._recorders[node] = EventRecorder(sender, host=node)
        return self._recorders[node]

    def leave(self, node: NodeName) -> None:
        """Nobody speaks for a node any more; what it has said is still sent."""
        self._recorders.pop(node, None)
        sender = self._senders.pop(node, None)
        if sender is not None:
            sender.finish()

    def stand_back(self) -> None:
        """Users wait for something else of this process: let that go first for a moment."""
        for sender in self._senders.values():
            sender.stand_back()
