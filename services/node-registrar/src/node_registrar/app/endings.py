"""Lets go of nodes that have ended, and says so to who asks.

Of a node that has ended nothing is left but what the services remember. A registrar that began now
would not know it at all, so that is what this one comes to as well: any later one gives the same
answer, and whoever registers under the name afterwards is a new node.
"""

from typing import Final

import structlog

from contract.errors import CommandError
from contract.ids import NodeName
from kubekit.errors import ApiError
from node_registrar.app.member import Member
from node_registrar.app.roster import Roster
from node_registrar.app.surroundings import Ledger, Surroundings
from node_registrar.domain import granting
from node_registrar.domain.ending import has_ended
from node_registrar.domain.granting import VACANT_GRANT, Tenure
from node_registrar.settings import RegistrarSettings

log = structlog.get_logger()


class Endings:
    """Looks through the roster of a pool."""

    def __init__(
        self,
        settings: RegistrarSettings,
        ledger: Ledger,
        around: Surroundings,
        roster: Roster,
    ) -> None:
        self._lease_s: Final = settings.lease_s
        self._ledger = ledger
        self._around = around
        self._roster = roster

    async def look(self, hearing_since: float) -> None:
        """Let go of each node that has ended. `hearing_since`: from when on beats were heard."""
        for member in self._roster.all():
            try:
                await self._look_at(member, hearing_since)
            except ApiError as error:
                log.info("node.unread", node=member.name, reason=str(error))

    async def has_ended(self, node: NodeName, hearing_since: float) -> bool:
        """Say it of one by its name. Raises `CommandError` while that cannot be known."""
        heard_for_s = self._around.clock() - hearing_since
        if heard_for_s <= self._lease_s or self._is_known(node, hearing_since):
            return False
        try:
            has_node = await self._ledger.has_node(node)
        except ApiError as error:
            raise CommandError(503, str(error)) from error
        return not has_node and not self._is_known(node, hearing_since)

    def _is_known(self, node: NodeName, hearing_since: float) -> bool:
        """Say whether more than an announcement is known: a log-server says those for ever."""
        member = self._roster.find(node)
        if member is None:
            return False
        unheard_s = self._unheard_s(member, hearing_since)
        return member.opened or member.lock.locked() or unheard_s <= self._lease_s

    async def _look_at(self, member: Member, hearing_since: float) -> None:
        if member.node is not None or self._unheard_s(member, hearing_since) <= self._lease_s:
            return
        async with member.lock:
            if not member.opened:
                is_over = self._is_unannounced(member)
            else:
                is_over = await self._has_ended(member, hearing_since)
            if is_over:
                self._let_go(member)

    async def _has_ended(self, member: Member, hearing_since: float) -> bool:
        if await self._ledger.has_node(member.name):
            return False
        known = self._tenure(member, hearing_since, None)
        if known is Tenure.SILENT:
            healthy = await self._around.prober.healthy(member.endpoint)
            known = self._tenure(member, hearing_since, healthy)
        return has_ended(
            known,
            has_node=member.node is not None,  # it may have come while others were asked
            unheard_s=self._unheard_s(member, hearing_since),
            lease_s=self._lease_s,
        )

    def _unheard_s(self, member: Member, hearing_since: float) -> float:
        spoken_at = hearing_since if member.spoken_at is None else member.spoken_at
        return self._around.clock() - max(spoken_at, hearing_since)

    def _is_unannounced(self, member: Member) -> bool:
        heard_at = member.endpoint_heard_at
        return heard_at is None or self._around.clock() - heard_at > self._lease_s

    def _tenure(self, member: Member, hearing_since: float, healthy: bool | None) -> Tenure:  # noqa: FBT001 - a tri-state
        silent_s = member.silent_s(self._around.clock(), hearing_since)
        return granting.tenure(
            member.grant, silent_s=silent_s, lease_s=self._lease_s, healthy=healthy
        )

    def _let_go(self, member: Member) -> None:
        log.warning("node.ended", node=member.name)
        self._roster.drop(member)
        member.grant = VACANT_GRANT  # so that nobody who has it in hand says it again
        self._ledger.close(member)
