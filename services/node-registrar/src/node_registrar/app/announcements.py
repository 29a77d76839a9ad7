"""Takes in where log-servers listen: checked, and steady where two claim the same node."""

import structlog

from contract.messages.node import ServerAnnounced
from node_registrar.app.member import Member
from node_registrar.app.surroundings import Surroundings
from node_registrar.domain.addresses import Endpoint, refusal_of, replaces
from node_registrar.settings import RegistrarSettings

log = structlog.get_logger()


class Announcements:
    """Believes an announcement, or says why not."""

    def __init__(self, settings: RegistrarSettings, around: Surroundings) -> None:
        self._in_cluster = bool(settings.kubeconfig)
        self._fresh_s = settings.announce_fresh_s
        self._around = around

    def take(self, member: Member, event: ServerAnnounced) -> None:
        """Act on one announcement. Without a cluster, loopback is where everybody is."""
        endpoint = Endpoint(
            address=event.address, port=event.port, certificate_sha256=event.certificate_sha256
        )
        refusal = refusal_of(endpoint) if self._in_cluster else None
        if refusal is not None:
            self._refuse(member, refusal)
        elif self._is_contested(member, endpoint):
            member.complain("address.contested", address=endpoint.address)
        else:
            self._believe(member, endpoint)

    def _refuse(self, member: Member, refusal: str) -> None:
        if refusal != member.endpoint_refusal:
            log.error("address.refused", node=member.name, reason=refusal)
            member.endpoint_refusal = refusal
            member.status_wake.set()

    def _is_contested(self, member: Member, endpoint: Endpoint) -> bool:
        heard_at = member.endpoint_heard_at
        age_s = None if heard_at is None else self._around.clock() - heard_at
        return not replaces(endpoint, member.endpoint, age_s, self._fresh_s)

    def _believe(self, member: Member, endpoint: Endpoint) -> None:
        changed = endpoint != member.endpoint or member.endpoint_refusal is not None
        member.endpoint = endpoint
        member.endpoint_refusal = None
        member.endpoint_heard_at = self._around.clock()
        if changed and self._in_cluster:
            log.info("address.learned", node=member.name, address=endpoint.address)
            member.host_ip = endpoint.address
            member.status_wake.set()
            publishing = self._around.publisher.publish(member)
            self._around.spawn(publishing, f"publish-{member.name}")
