"""Which nodes are served here: those that the settings name, else every one that is granted."""

import asyncio
from collections.abc import AsyncIterator

from contract.ids import EVERY_NODE, NodeName
from contract.messages.node import NodeGranted
from log_server.bus import Peers
from servicekit.bus import Bus


async def nodes_to_serve(
    bus: Bus, peers: Peers, named: tuple[NodeName, ...]
) -> AsyncIterator[NodeName]:
    """Yield each node once. Named ones at once and in their order, so that ports are stable.

    Of the others, those granted at the start come in alphabetical order, later ones as they come.
    """
    if named:
        for node in dict.fromkeys(named):
            yield node
        return
    news = asyncio.Event()
    granted: dict[NodeName, None] = {}

    def hear(node: NodeName, _event: NodeGranted) -> None:
        granted[node] = None
        news.set()

    await bus.listen(NodeGranted, EVERY_NODE, hear)
    listed = await peers.granted_nodes()
    served = sorted({*listed, *granted})
    for node in served:
        yield node
    while True:
        for node in [node for node in granted if node not in served]:
            served.append(node)
            yield node
        news.clear()
        await news.wait()
