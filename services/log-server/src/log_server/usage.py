"""A node's whole usage: the executor's pages, put together."""

from typing import Final

from contract.ids import NodeName
from contract.messages.usage import PodUsage, UsageRead
from log_server.bus import Peers
from log_server.domain.nodeusage import NodeUsage

PATIENCE_S: Final = 5.0


async def node_usage(
    peers: Peers, node: NodeName, *, files: bool = False, counted: bool = False
) -> NodeUsage:
    """Return what a node uses; raises what asking raises."""
    pods: list[PodUsage] = []
    command = UsageRead(node=node, files=files, counted=counted)
    while True:
        page = await peers.ask(node, command, patience_s=PATIENCE_S)
        pods += page.pods
        if not page.after:
            return NodeUsage(name=node, shown=page, pods=tuple(pods))
        command = UsageRead(node=node, files=files, counted=counted, after=page.after)
