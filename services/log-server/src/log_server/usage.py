"""A node's whole usage: the executor's pages, put together."""

from typing import Final

from contract.ids import NodeName
from contract.messages.usage import PodUsage, UsageRead, UsageShown
from log_server.bus import Peers
from log_server.domain.nodeusage import NodeUsage

PATIENCE_S: Final = 5.0


async def node_usage(peers: Peers, node: NodeName, *, files: bool = False) -> NodeUsage:
    """Return what a node uses; raises what asking raises."""
    pods: list[PodUsage] = []
    after = ""
    while True:
        page = await _page(peers, node, files=files, after=after)
        pods += page.pods
        after = page.after
        if not after:
            return NodeUsage(name=node, shown=page, pods=tuple(pods))


async def _page(peers: Peers, node: NodeName, *, files: bool, after: str) -> UsageShown:
    command = UsageRead(node=node, files=files, after=after)
    return await peers.ask(node, command, patience_s=PATIENCE_S)
