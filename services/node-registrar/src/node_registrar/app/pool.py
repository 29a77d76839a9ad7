"""Who holds which name: answers registrations, takes names back, hears beats.

A grant is recorded (in the Node, where there is a cluster) before its holder hears of it, and
commands of one node are decided one after another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

import msgspec
import structlog

from contract.errors import CommandError
from contract.ids import NodeName, id_token
from contract.messages.form import Done, Incarnation
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
    NodeCheck,
    NodeChecked,
    NodeGrant,
    NodeRegister,
    NodeRelease,
    ServerAnnounced,
)
from kubekit.errors import ApiError, NotLeadingError
from node_registrar.app.announcements import Announcements
from node_registrar.app.endings import Endings
from node_registrar.app.member import Member
from node_registrar.app.roster import Roster
from node_registrar.app.surroundings import Ledger, Surroundings
from node_registrar.domain import granting
from node_registrar.domain.capping import caps_of, within
from node_registrar.domain.conditions import Pressures
from node_registrar.domain.granting import Claim, Grant, Outcome
from node_registrar.errors import (
    ForeignNodeError,
    GrantMovedError,
    HostMissingError,
    NotWantedError,
)
from node_registrar.settings import RegistrarSettings

_DECISIONS: Final = 3
_UNRECORDED: Final = (
    ApiError,
    GrantMovedError,
    HostMissingError,
    NotLeadingError,
    NotWantedError,
)

log = structlog.get_logger()


class Pool:
    """All nodes of this registrar. It is the bus edge's `Hearer`.

    Once its body has ended it hears nothing and refuses everybody: whoever leads next may be asked.
    """

    def __init__(self, settings: RegistrarSettings, ledger: Ledger, around: Surroundings) -> None:
        self._settings = settings
        self._ledger = ledger
        self._around = around
        self._announcements = Announcements(settings, around)
        self._caps = caps_of(settings)
        self._roster: Final = Roster(settings.beat_fresh_s)
        self._endings = Endings(settings, ledger, around, self._roster)
        self._hearing_since = around.clock()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._roster.clear()

    async def register(self, node: NodeName, command: NodeRegister) -> NodeGrant:
        """Answer who holds the name now."""
        id_token(command.incarnation.executor_id)  # raises: who cannot be named is never revoked
        command = msgspec.structs.replace(command, facts=within(command.facts, self._caps))
        async with self._turn(node, command.node) as member:
            outcome = await self._decided(member, command)
            holder = member.grant.holder
            assert holder is not None, "every outcome but a grant needs a holder"
            if outcome is Outcome.REFUSE:
                member.complain("registration.refused", asking=_text(command.incarnation))
            else:
                self._take_facts(member, command)
        await self._around.publisher.publish(member)
        self._assert_leading()
        return NodeGrant(node=node, holder=holder)

    async def release(self, node: NodeName, command: NodeRelease) -> Done:
        """Take a name back from its holder; from anybody else this changes nothing."""
        async with self._turn(node, command.node) as member:
            if member.grant.held_by(command.incarnation):
                grant = Grant(holder=command.incarnation, released=True)
                await self._ledger.record(member, grant)
                member.grant = grant
                log.info("name.released", node=node, holder=_text(command.incarnation))
                member.wake()
        return Done()

    async def list_grants(self, _node: NodeName, _command: GrantsList) -> GrantsListed:
        """Answer with all grants in force."""
        self._assert_leading()
        events = (member.granted_event() for member in self._roster.all())
        return GrantsListed(grants=tuple(event for event in events if event is not None))

    async def check(self, node: NodeName, command: NodeCheck) -> NodeChecked:
        """Answer whether a node is gone for good."""
        self._assert_ours(node, command.node)
        ended = await self._endings.has_ended(node, self._hearing_since)
        self._assert_leading()
        return NodeChecked(node=node, ended=ended)

    def beat(self, node: NodeName, event: NodeBeat) -> None:
        """Hear a sign of life; one of somebody else gets its `NodeRevoke` again."""
        if not self._hears_of(node, event.node):
            return
        id_token(event.incarnation.executor_id)  # raises, as in a registration
        member = self._roster.of(node)
        member.spoken_at = self._around.clock()
        if not member.opened:
            if not member.lock.locked():
                self._around.spawn(self._meet(member, event), f"meet-{node}")
            return
        if member.grant.holder is None and self._ledger.believes_beats:
            member.grant = Grant(holder=event.incarnation)
            log.info("name.granted", node=node, holder=_text(event.incarnation), by="beat")
        if member.grant.held_by(event.incarnation):
            member.take_beat(event, self._around.clock())
        elif granting.claim(member.grant, event.incarnation) is Claim.OTHER:
            self._revoke(member, event.incarnation.executor_id)

    def announced(self, node: NodeName, event: ServerAnnounced) -> None:
        """Hear where the kubelet API of a node is."""
        if not self._hears_of(node, event.node):
            return
        self._announcements.take(self._roster.of(node), event)

    async def repeat(self) -> None:
        """Say it all again, every few seconds, for those who did not hear."""
        while True:
            await asyncio.sleep(self._settings.grants_interval_s)
            await self.publish_all()

    async def let_go(self) -> None:
        """Look again and again which nodes have ended."""
        while True:
            await asyncio.sleep(self._settings.lease_renew_s)
            await self._endings.look(self._hearing_since)

    async def publish_all(self) -> None:
        """Say of each node who holds it."""
        for member in self._roster.all():
            await self._around.publisher.publish(member, again=True)

    def bus_returned(self) -> None:
        """Note that nothing could be heard until now: that silence proves nothing."""
        self._hearing_since = self._around.clock()

    async def open_named(self) -> None:
        """Meet the configured nodes at once: their Leases must not wait for a beat."""
        for name in self._settings.node_names:
            while not (member := self._roster.of(NodeName(name))).opened:
                try:
                    async with member.lock:
                        await self._open(member)
                except ApiError as error:
                    log.warning("node.unread", node=name, reason=str(error))
                    await asyncio.sleep(1)
            await self._around.publisher.publish(member)

    def _is_ours(self, node: NodeName) -> bool:
        names = self._settings.node_names
        return not names or node in names

    def _hears_of(self, node: NodeName, named: NodeName) -> bool:
        return named == node and self._is_ours(node) and not self._ended

    async def _open(self, member: Member) -> None:
        if member.opened:
            return
        await self._ledger.open(member)
        member.opened = True

    @asynccontextmanager
    async def _turn(self, node: NodeName, named: NodeName) -> AsyncIterator[Member]:
        """Give the member of a command, alone; what the cluster refuses becomes an answer."""
        self._assert_ours(node, named)
        self._assert_leading()
        member = self._roster.of(node)
        member.spoken_at = self._around.clock()
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await member.lock.acquire()
        except TimeoutError as error:
            raise CommandError(503, f"{node}: others are still being answered") from error
        try:
            self._assert_leading()
            if not self._roster.has(member):
                raise CommandError(503, f"{node}: it was let go of at this moment, ask again")
            await self._open(member)
            yield member
        except ForeignNodeError as error:
            member.complain("node.foreign", kubelet_version=error.kubelet_version)
            raise CommandError(409, str(error)) from error
        except _UNRECORDED as error:
            member.complain("grant.unrecorded", reason=str(error))
            raise CommandError(503, str(error)) from error
        finally:
            member.lock.release()

    def _assert_ours(self, node: NodeName, named: NodeName) -> None:
        if named != node or not self._is_ours(node):
            raise CommandError(400, f"{named} is no node of this registrar")

    def _assert_leading(self) -> None:
        """Refuse to speak for others once another replica may: a frozen leader has old news."""
        if self._ended:
            raise CommandError(503, "this registrar leads no more")
        try:
            self._around.leadership.assert_leading()
        except NotLeadingError as error:
            raise CommandError(503, str(error)) from error

    async def _decided(self, member: Member, command: NodeRegister) -> Outcome:
        for _ in range(_DECISIONS):
            outcome = self._decide(member, command.incarnation, None)
            if outcome is Outcome.PROBE:
                healthy = await self._around.prober.healthy(member.endpoint)
                outcome = self._decide(member, command.incarnation, healthy)
            if outcome is not Outcome.GRANT:
                return outcome
            with suppress(GrantMovedError):
                await self._grant(member, command)
                return outcome
        raise GrantMovedError(f"node {member.name}: its grant is written by others all the time")

    def _decide(self, member: Member, who: Incarnation, healthy: bool | None) -> Outcome:  # noqa: FBT001 - a tri-state
        known = granting.tenure(
            member.grant,
            silent_s=member.silent_s(self._around.clock(), self._hearing_since),
            lease_s=self._settings.lease_s,
            healthy=healthy,
        )
        return granting.decide(known, granting.claim(member.grant, who))

    async def _grant(self, member: Member, command: NodeRegister) -> None:
        before, grant = member.grant, Grant(holder=command.incarnation)
        facts_before, member.facts = member.facts, command.facts
        try:
            await self._ledger.record(member, grant)
        except BaseException:
            member.facts = facts_before
            raise
        member.grant = grant
        member.pressures = Pressures()
        member.shutting_down = False
        log.info("name.granted", node=member.name, holder=_text(command.incarnation))
        former = granting.evicted(before, command.incarnation)
        if former is not None:
            member.endpoint_heard_at = None  # the new holder may have another log-server
        if former is not None and not before.released:
            self._revoke(member, former)

    def _take_facts(self, member: Member, command: NodeRegister) -> None:
        if member.facts != command.facts:
            member.facts = command.facts
            member.wake()
        member.hear(self._around.clock())

    async def _meet(self, member: Member, event: NodeBeat) -> None:
        """Learn, from a beat, of a node that was granted before this process began."""
        async with member.lock:
            if member.opened or not self._roster.has(member):
                return
            try:
                await self._open(member)
            except (ApiError, ForeignNodeError) as error:
                log.warning("node.unread", node=member.name, reason=str(error))
                return
        self.beat(member.name, event)
        await self._around.publisher.publish(member)

    def _revoke(self, member: Member, executor_id: str) -> None:
        if member.grant.holder is not None:
            words = self._around.voice.revoke(member.name, executor_id, member.grant.holder)
            self._around.spawn(words, f"revoke-{member.name}")


def _text(who: Incarnation) -> str:
    return f"{who.executor_id}/{who.start_count}"
