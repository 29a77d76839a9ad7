"""What must be so before a Node is created: it is wanted, and its host is there."""

from typing import Final

import structlog

from contract.ids import NodeName
from node_registrar.domain.hosts import host_name, is_host
from node_registrar.domain.node_view import HostView
from node_registrar.errors import HostMissingError, NotWantedError
from node_registrar.kube import Installation, Nodes

log = structlog.get_logger()


class Births:
    """Asks the cluster each time: what a watch showed last may be over."""

    def __init__(self, nodes: Nodes, installation: Installation | None, host_prefix: str) -> None:
        self._nodes: Final = nodes
        self._installation: Final = installation
        self._host_prefix: Final = host_prefix
        self._is_over = False

    async def host_for(self, node: NodeName) -> HostView | None:
        """Return the host of a Node to create, None for one that stands alone.

        Raises `NotWantedError` or `HostMissingError` when it must not be created.
        """
        await self._assert_wanted(node)
        name = host_name(node, self._host_prefix)
        if name is None:
            return None
        host = await self._nodes.get_host(name)
        if host is None or not is_host(host):
            raise HostMissingError(node, name)
        return host

    async def _assert_wanted(self, node: NodeName) -> None:
        """The mark is believed as read, for an uninstall that fails takes it back.

        Without the ConfigMap the last word counts: when all goes, it goes before this process does.
        """
        if self._installation is not None:
            is_leaving = await self._installation.is_leaving()
            self._is_over = self._is_over if is_leaving is None else is_leaving
        if self._is_over:
            raise NotWantedError(f"node {node}: this installation is being removed")
