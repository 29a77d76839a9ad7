"""Keeps one Node in the cluster as it should be: its object, its status and its Lease.

Three tasks per node, so that none holds up another: one follows the object (a Node deleted by hand
comes back), one writes the status when it changes or is due, one renews the Lease.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from kubekit.backoff import Backoff
from kubekit.changes import Change, Deleted, Synced
from kubekit.errors import ApiError, ConflictError, NotFoundError
from kubekit.listing import Source
from kubekit.reflector import Reflector
from node_registrar.app.member import Member
from node_registrar.app.publishing import Publisher
from node_registrar.app.writing import NodeWriter
from node_registrar.domain.liveness import Health, Verdict, verdict
from node_registrar.domain.node_view import NodeView, decode_node
from node_registrar.healthz import HealthProber
from node_registrar.kube import NODES, Cluster, NodeLease
from node_registrar.settings import RegistrarSettings

# The kubelet's: 4 % of jitter on its periods, 100 ms doubling to 7 s after failures.
_JITTER: Final = 0.04
_RETRY_INITIAL_S: Final = 0.1
_RETRY_MAXIMUM_S: Final = 7.0

log = structlog.get_logger()


class Means(NamedTuple):
    """What the upkeep works with."""

    cluster: Cluster
    writer: NodeWriter
    prober: HealthProber
    publisher: Publisher


class Upkeep:
    """Starts the tasks of each node."""

    def __init__(self, settings: RegistrarSettings, means: Means) -> None:
        self._settings = settings
        self._means = means

    def begin(self, tasks: asyncio.TaskGroup, member: Member) -> None:
        """Keep this node until the group ends."""
        settings = self._settings
        lease = NodeLease(self._means.cluster, member.name, settings.lease_s)
        tasks.create_task(self._follow(member), name=f"follow-{member.name}")
        tasks.create_task(
            _again(
                lambda: self._sync(member), member.status_wake, settings.status_interval_s, "status"
            ),
            name=f"status-{member.name}",
        )
        tasks.create_task(
            _again(
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
            return
        await self._look(member)
        if member.node_uid and member.alive(time.monotonic()):
            await lease.renew(member.node_uid)

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


async def _again(
    turn: Callable[[], Awaitable[None]], wake: asyncio.Event, period_s: float, what: str
) -> None:
    """Take turns for ever: when woken, each period, and sooner after a failure."""
    backoff = Backoff(random.random, initial_s=_RETRY_INITIAL_S, maximum_s=_RETRY_MAXIMUM_S)
    while True:
        try:
            await turn()
        except ApiError as error:
            log.warning("node.unwritten", what=what, reason=str(error))
            await asyncio.sleep(
                backoff.delay_s(time.monotonic(), retry_after_s=error.retry_after_s)
            )
            continue
        backoff.reset()
        with suppress(TimeoutError):
            async with asyncio.timeout(period_s * (1 + _JITTER * random.random())):  # noqa: S311 - no secret
                await wake.wait()
        wake.clear()
