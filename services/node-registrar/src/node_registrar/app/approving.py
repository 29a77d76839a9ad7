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
                waiting = [
                    each
                    for signer in (KUBELET_SERVING, KUBELET_CLIENT)
                    for each in await self._requests.pending(signer)
                ]
                self._said = {
                    each.metadata.uid: self._said.get(each.metadata.uid, "") for each in waiting
                }
                for request in waiting:
                    await self._decide(request)
            except ApiError as error:
                log.warning("signing_requests.unread", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _decide(self, request: Pending) -> None:
        asked = asked_of(request)
        if asked is None or not asked.node:
            return
        node = await self._nodes.get(NodeName(asked.node))
        meta, reason = request.metadata, self._reason(request.spec.signer_name, asked, node)
        if reason is None:
            await self._requests.approve(request)
            log.info("certificate.approved", node=asked.node, request=meta.name)
        elif self._said[meta.uid] != reason:
            self._said[meta.uid] = reason
            log.info("certificate.unapproved", node=asked.node, request=meta.name, reason=reason)

    def _reason(self, signer: str, asked: Asked, node: NodeView | None) -> str | None:
        if signer == KUBELET_CLIENT:
            return reason_against_client(asked, node)
        return reason_against(asked, node, self._askers)
