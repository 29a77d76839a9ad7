"""Approves the certificates of our Nodes, while this replica leads.

Looked at again and again: a request may be there before its Node shows the address that it names.
"""

import asyncio
from typing import Final

import structlog

from contract.ids import NodeName
from kubekit.errors import ApiError
from kubekit.signingrequests import KUBELET_CLIENT, KUBELET_SERVING
from node_registrar.domain.node_view import NodeView
from node_registrar.domain.signing_requests import (
    Asked,
    Askers,
    reason_against,
    reason_against_client,
    reason_in,
    reason_in_client,
)
from node_registrar.kube import Nodes
from node_registrar.settings import RegistrarSettings
from node_registrar.signingrequests import Pending, SigningRequests, asked_of

LOOK_EVERY_S: Final = 3.0

log = structlog.get_logger()


class Approver:
    """Looks at what waits, and remembers what it has said of it."""

    def __init__(
        self, settings: RegistrarSettings, nodes: Nodes, requests: SigningRequests
    ) -> None:
        self._nodes = nodes
        self._requests = requests
        self._askers = Askers(
            service_account=settings.bus_service_account, host_prefix=settings.host_prefix
        )
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Look for ever, while the API server answers."""
        while True:
            try:
                await self.look()
            except ApiError as error:
                log.warning("signing_requests.unread", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Decide once about all that waits; one that fails holds none of the others up."""
        waiting = [
            each
            for signer in (KUBELET_SERVING, KUBELET_CLIENT)
            for each in await self._requests.pending(signer)
        ]
        self._said = {each.metadata.uid: self._said.get(each.metadata.uid, "") for each in waiting}
        seen = _Seen(self._nodes)
        for request in waiting:
            asked = asked_of(request)
            try:
                await self._decide(request, asked, seen)
            except ApiError as error:
                self._say(request, asked, str(error))

    async def _decide(self, request: Pending, asked: Asked | None, seen: "_Seen") -> None:
        reason = await self._reason(request.spec.signer_name, asked, seen)
        if reason is not None:
            self._say(request, asked, reason)
        elif await self._requests.approve(request):
            name = request.metadata.name
            log.info("certificate.approved", node=asked and asked.node, request=name)

    async def _reason(self, signer: str, asked: Asked | None, seen: "_Seen") -> str | None:
        if asked is None or asked.node is None:
            return "it cannot be read, or names no node"
        is_client = signer == KUBELET_CLIENT
        reason = reason_in_client(asked) if is_client else reason_in(asked, self._askers)
        if reason is not None:
            return reason
        node = await seen.get(asked.node)
        if is_client:
            return reason_against_client(asked, node)
        return reason_against(asked, node, self._askers)

    def _say(self, request: Pending, asked: Asked | None, reason: str) -> None:
        """Once per request and reason: it is looked at every few seconds."""
        meta = request.metadata
        if self._said[meta.uid] != reason:
            self._said[meta.uid] = reason
            node = asked and asked.node
            log.info("certificate.unapproved", node=node, request=meta.name, reason=reason)


class _Seen:
    """The Nodes of one round, each read once: who asks often gets no more looks for it."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._seen: dict[NodeName, NodeView | None] = {}

    async def get(self, name: NodeName) -> NodeView | None:
        if name not in self._seen:
            self._seen[name] = await self._nodes.get(name)
        return self._seen[name]
