"""Which nodes are served here: those that the settings name, else every one that is granted."""

import asyncio
from collections.abc import AsyncIterator

from contract.ids import EVERY_NODE, NodeName
from contract.messages.node import NodeGranted
from log_server.bus import Peers
from log_server.settings import LogServerSettings
from servicekit.bus import Bus
from servicekit.departures import Departures, LetGo


class NodesToServe:
    """The nodes that come, and those that have ended. Named ones do neither."""

    def __init__(self, bus: Bus, peers: Peers, settings: LogServerSettings) -> None:
        self._bus = bus
        self._peers = peers
        self._named = settings.node_names
        self._departures = Departures(bus, settings.node_check_s)
        self._granted: dict[NodeName, None] = {}
        self._served: set[NodeName] = set()
        self._news = asyncio.Event()

    async def coming(self) -> AsyncIterator[NodeName]:
        """Yield each node once. Named ones at once and in their order, so that ports are stable.

        Of the others, those granted at the start come in alphabetical order, later ones as they
        come. One that has ended and is granted again comes again.
        """
        if self._named:
            for node in dict.fromkeys(self._named):
                yield node
            return
        await self._bus.listen(NodeGranted, EVERY_NODE, self._hear)
        for node in await self._peers.granted_nodes():
            self._departures.heard(node)
            self._granted[node] = None
        self._granted = dict.fromkeys(sorted(self._granted))
        while True:
            for node in [node for node in self._granted if node not in self._served]:
                self._served.add(node)
                yield node
            self._news.clear()
            await self._news.wait()

    async def going(self, let_go: LetGo) -> None:
        """Have each node that has ended let go of, until cancelled."""

        async def ended(node: NodeName) -> None:
            await let_go(node)
            self._served.discard(node)
            self._granted.pop(node, None)  # if it is back already, that is said again

        await self._departures.run(ended)

    def _hear(self, node: NodeName, _event: NodeGranted) -> None:
        self._departures.heard(node)
        self._granted[node] = None
        self._news.set()
