"""Keeps one Node in the cluster as it should be: its object, its status and its Lease.

Three tasks per node, so that none holds up another: one follows the object (a Node deleted by hand
comes back), one writes the status when it changes or is due, one renews the Lease. `hosting` adds
those of a machine's own Node.
"""

import asyncio
import time
from typing import NamedTuple

import structlog

from kubekit.changes import Change, Deleted, Synced
from kubekit.errors import ConflictError, NotFoundError
from kubekit.listing import Source
from kubekit.reflector import Reflector
from node_registrar.app.hosting import Hosting
from node_registrar.app.member import Member
from node_registrar.app.publishing import Publisher
from node_registrar.app.turns import again
from node_registrar.app.writing import NodeWriter
from node_registrar.domain.liveness import Health, Verdict, verdict
from node_registrar.domain.node_view import NodeView, decode_node
from node_registrar.domain.silence import Silences
from node_registrar.healthz import HealthProber
from node_registrar.kube import NODES, Cluster, NodeLease
from node_registrar.settings import RegistrarSettings

log = structlog.get_logger()


class Means(NamedTuple):
    """What the upkeep works with."""

    cluster: Cluster
    writer: NodeWriter
    prober: HealthProber
    publisher: Publisher
    hosting: Hosting
    silences: Silences


class Upkeep:
    """The tasks of each node."""

    def __init__(self, settings: RegistrarSettings, means: Means) -> None:
        self._settings = settings
        self._means = means

    async def keep(self, member: Member) -> None:
        """Keep this node until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._begin(tasks, member)
        finally:
            self._means.silences.forget(member.name)

    def _begin(self, tasks: asyncio.TaskGroup, member: Member) -> None:
        settings = self._settings
        lease = NodeLease(self._means.cluster, member.name, settings.lease_s)
        tasks.create_task(self._follow(member), name=f"follow-{member.name}")
        self._means.hosting.begin(tasks, member)
        tasks.create_task(
            again(
                lambda: self._sync(member), member.status_wake, settings.status_interval_s, "status"
            ),
            name=f"status-{member.name}",
        )
        tasks.create_task(
            again(
                lambda: self._renew(member, lease),
                member.lease_wake,
                settings.lease_renew_s,
                "lease",
            ),
            name=f"lease-{member.name}",
        )

    async def _follow(self, member: Member) -> None:
        async def deliver(change: Change[NodeView]) -> None:
            match change:
                case Synced():
                    return
                case Deleted():
                    log.warning("node.deleted", node=member.name, uid=change.uid)
                    member.lose_node(change.uid)
                case _:
                    member.take_node(change.object)

        source = Source(path=NODES, field_selector=f"metadata.name={member.name}")
        reflector = Reflector(self._means.cluster.api, source, decode=decode_node, deliver=deliver)
        await reflector.run()

    async def _sync(self, member: Member) -> None:
        try:
            await self._means.writer.sync(member)
        except (ConflictError, NotFoundError):
            await self._means.writer.reread(member)
            raise
        finally:
            await self._means.publisher.publish(member)

    async def _renew(self, member: Member, lease: NodeLease) -> None:
        if not member.node_uid or not member.grant.in_force:
            self._means.silences.forget(member.name)
            return
        await self._look(member)
        if member.node_uid and self._is_kept(member):
            await lease.renew(member.node_uid)

    def _is_kept(self, member: Member) -> bool:
        """Say whether the holder lives, or is silent together with too many others."""
        now, silences = time.monotonic(), self._means.silences
        alive = member.alive(now)
        silences.note(member.name, now, alive=alive, ready=_shows_ready(member.node))
        tolerated = not alive and silences.tolerated(member.name, now)
        if tolerated != member.tolerated:
            member.tolerated = tolerated
            log.warning("silence.tolerated" if tolerated else "silence.over", node=member.name)
        return alive or tolerated

    async def _look(self, member: Member) -> None:
        """Ask `/healthz` where the beats do not say that the holder lives."""
        was_alive = member.alive(time.monotonic())
        age = member.beat_age(time.monotonic())
        if verdict(age, Health.UNASKED) is Verdict.ASK:
            healthy = await self._means.prober.healthy(member.endpoint)
            member.health = Health.OK if healthy else Health.FAILED
        if member.alive(time.monotonic()) != was_alive:
            log.warning("liveness.changed", node=member.name, health=member.health)
            member.status_wake.set()


def _shows_ready(node: NodeView | None) -> bool:
    ready = {} if node is None else node.conditions().get("Ready", {})
    return ready.get("status") == "True"
