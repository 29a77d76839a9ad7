"""Who holds which name: answers registrations, takes names back, hears beats.

A grant is recorded (in the Node, where there is a cluster) before its holder hears of it, and
commands of one node are decided one after another.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import structlog

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Done, Incarnation
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
    NodeGrant,
    NodeRegister,
    NodeRelease,
    ServerAnnounced,
)
from kubekit.errors import ApiError, NotLeadingError
from node_registrar.app.member import Member
from node_registrar.app.publishing import Publisher
from node_registrar.bus import Voice
from node_registrar.domain import granting
from node_registrar.domain.addresses import Endpoint, refusal_of
from node_registrar.domain.granting import Claim, Grant, Outcome
from node_registrar.errors import ForeignNodeError, GrantMovedError
from node_registrar.healthz import HealthProber
from node_registrar.settings import RegistrarSettings

_DECISIONS: Final = 3

log = structlog.get_logger()


class Ledger(Protocol):
    """Where grants are written down."""

    @property
    def believes_beats(self) -> bool:
        """Whether a beat alone shows who was granted, because nothing is written down."""
        ...

    async def open(self, member: Member) -> None:
        """Learn what is recorded of a node, and begin to keep it."""
        ...

    async def record(self, member: Member, grant: Grant) -> None:
        """Write a grant down; `member.grant` is the one that it replaces.

        Raises `GrantMovedError` when another one is recorded, with that one in the member.
        """
        ...


class Surroundings(NamedTuple):
    """What the pool acts through."""

    voice: Voice
    publisher: Publisher
    prober: HealthProber
    tasks: asyncio.TaskGroup
    clock: Callable[[], float] = time.monotonic


class Pool:
    """All nodes of this registrar. It is the bus edge's `Hearer`."""

    def __init__(self, settings: RegistrarSettings, ledger: Ledger, around: Surroundings) -> None:
        self._settings = settings
        self._ledger = ledger
        self._around = around
        self._members: Final[dict[NodeName, Member]] = {}
        self._hearing_since = around.clock()

    async def register(self, node: NodeName, command: NodeRegister) -> NodeGrant:
        """Answer who holds the name now."""
        if command.node != node or not self._is_ours(node):
            raise CommandError(400, f"{command.node} is no node of this registrar")
        member = self._member(node)
        async with member.lock:
            outcome = await self._attempted(self._decided(member, command))
            holder = member.grant.holder
            if holder is None:
                raise CommandError(503, "nothing is decided yet")
            if outcome is Outcome.REFUSE:
                log.warning("registration.refused", node=node, asking=str(command.incarnation))
            else:
                self._take_facts(member, command)
        await self._around.publisher.publish(member)
        return NodeGrant(node=node, holder=holder)

    async def release(self, node: NodeName, command: NodeRelease) -> Done:
        """Take a name back from its holder; from anybody else this changes nothing."""
        if command.node != node or not self._is_ours(node):
            raise CommandError(400, f"{command.node} is no node of this registrar")
        member = self._member(node)
        async with member.lock:
            await self._attempted(self._open(member))
            if member.grant.held_by(command.incarnation):
                grant = Grant(holder=command.incarnation, released=True)
                await self._attempted(self._ledger.record(member, grant))
                member.grant = grant
                log.info("name.released", node=node, holder=str(command.incarnation))
                member.wake()
        return Done()

    async def list_grants(self, _node: NodeName, _command: GrantsList) -> GrantsListed:
        """Answer with all grants in force."""
        events = (member.granted_event() for member in self._members.values())
        return GrantsListed(grants=tuple(event for event in events if event is not None))

    def beat(self, node: NodeName, event: NodeBeat) -> None:
        """Hear a sign of life; one of somebody else gets its `NodeRevoke` again."""
        if event.node != node or not self._is_ours(node):
            return
        member = self._member(node)
        if not member.opened:
            if not member.lock.locked():
                self._spawn(self._meet(member, event), f"meet-{node}")
            return
        if member.grant.holder is None and self._ledger.believes_beats:
            member.grant = Grant(holder=event.incarnation)
            log.info("name.granted", node=node, holder=str(event.incarnation), by="beat")
        if member.grant.held_by(event.incarnation):
            member.take_beat(event, self._around.clock())
        elif granting.claim(member.grant, event.incarnation) is Claim.OTHER:
            self._revoke(member, event.incarnation.executor_id)

    def announced(self, node: NodeName, event: ServerAnnounced) -> None:
        """Hear where the kubelet API of a node is."""
        if event.node != node or not self._is_ours(node):
            return
        member = self._member(node)
        endpoint = Endpoint(
            address=event.address, port=event.port, certificate_sha256=event.certificate_sha256
        )
        refusal = refusal_of(endpoint) if self._settings.kubeconfig else None
        if refusal is not None:
            if refusal != member.endpoint_refusal:
                log.error("address.refused", node=node, reason=refusal)
                member.endpoint_refusal = refusal
                member.status_wake.set()
            return
        self._take_endpoint(member, endpoint)

    async def repeat(self) -> None:
        """Say it all again, every few seconds, for those who did not hear."""
        while True:
            await asyncio.sleep(self._settings.grants_interval_s)
            await self.publish_all()

    async def publish_all(self) -> None:
        """Say of each node who holds it."""
        for member in tuple(self._members.values()):
            await self._around.publisher.publish(member, again=True)

    def bus_returned(self) -> None:
        """Note that nothing could be heard until now: that silence proves nothing."""
        self._hearing_since = self._around.clock()

    async def open_named(self) -> None:
        """Meet the configured nodes at once: their Leases must not wait for a beat."""
        for name in self._settings.node_names:
            member = self._member(NodeName(name))
            while not member.opened:
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

    def _member(self, node: NodeName) -> Member:
        member = self._members.get(node)
        if member is None:
            member = Member(node, fresh_s=self._settings.beat_fresh_s)
            self._members[node] = member
        return member

    async def _open(self, member: Member) -> None:
        if member.opened:
            return
        await self._ledger.open(member)
        member.opened = True

    async def _attempted[T](self, work: Awaitable[T]) -> T:
        """Turn what the cluster refuses into an answer for the executor, who asks again."""
        try:
            return await work
        except ForeignNodeError as error:
            log.error("node.foreign", node=error.node, kubelet_version=error.kubelet_version)  # noqa: TRY400 - a known reason
            raise CommandError(409, str(error)) from error
        except (ApiError, GrantMovedError, NotLeadingError) as error:
            log.warning("grant.unrecorded", reason=str(error))
            raise CommandError(503, str(error)) from error

    async def _decided(self, member: Member, command: NodeRegister) -> Outcome:
        await self._open(member)
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
        heard_at = max(member.heard_at or self._hearing_since, self._hearing_since)
        known = granting.tenure(
            member.grant,
            silent_s=self._around.clock() - heard_at,
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
        log.info("name.granted", node=member.name, holder=str(command.incarnation))
        former = granting.evicted(before, command.incarnation)
        if former is not None and not before.released:
            self._revoke(member, former)

    def _take_facts(self, member: Member, command: NodeRegister) -> None:
        if member.facts != command.facts:
            member.facts = command.facts
            member.wake()
        member.hear(self._around.clock())

    def _take_endpoint(self, member: Member, endpoint: Endpoint) -> None:
        changed = endpoint != member.endpoint
        member.endpoint = endpoint
        member.endpoint_refusal = None
        member.endpoint_heard_at = self._around.clock()
        if changed and self._settings.kubeconfig:
            log.info("address.learned", node=member.name, address=endpoint.address)
            member.host_ip = endpoint.address
            member.status_wake.set()
            self._spawn(self._around.publisher.publish(member), f"publish-{member.name}")

    async def _meet(self, member: Member, event: NodeBeat) -> None:
        """Learn, from a beat, of a node that was granted before this process began."""
        async with member.lock:
            if member.opened:
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
            self._spawn(words, f"revoke-{member.name}")

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        self._around.tasks.create_task(run(), name=name)
