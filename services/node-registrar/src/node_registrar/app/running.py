"""The registrar's life: the bus, the cluster if there is one, and the pool while it leads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from contract.subjects import Role
from kubekit.client import Api, api_client
from kubekit.election import Elector
from kubekit.errors import ApiError, KubekitError, NotLeadingError
from kubekit.events import EventSender
from kubekit.leadership import Leadership, StaticTerm
from kubekit.leases import Timing
from node_registrar.app.births import Births
from node_registrar.app.hosting import Hosting
from node_registrar.app.ledgers import NodeLedger, StaticLedger
from node_registrar.app.pool import Pool
from node_registrar.app.publishing import Publisher
from node_registrar.app.surroundings import Ledger, Surroundings
from node_registrar.app.upkeep import Means, Upkeep
from node_registrar.app.writing import NodeWriter
from node_registrar.bus import Ears, Voice
from node_registrar.domain.silence import Silences
from node_registrar.errors import ClusterAccessError, LeadershipLostError
from node_registrar.healthz import HealthProber, health_prober
from node_registrar.kube import Cluster, Installation, Nodes
from node_registrar.settings import IN_CLUSTER, RegistrarSettings
from servicekit.admin import serve_admin
from servicekit.bus import Bus, connected
from servicekit.running import raise_on_signal, stop_absorbed

# Each node of a large pool may have a request in flight.
_CONNECTIONS: Final = 2048

log = structlog.get_logger()


class World(NamedTuple):
    """What the registrar has for its whole life."""

    bus: Bus
    prober: HealthProber
    leadership: Leadership
    cluster: Cluster | None


async def serve(settings: RegistrarSettings) -> None:
    """Run until told to stop."""
    with stop_absorbed():
        async with (
            connected(settings, Role.NODE_REGISTRAR) as bus,
            health_prober(settings.healthz_timeout_s) as prober,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(raise_on_signal(), name="signals")
            tasks.create_task(bus.wait_closed(), name="bus-closed")
            await _live(settings, bus, prober)


async def _live(settings: RegistrarSettings, bus: Bus, prober: HealthProber) -> None:
    async with _leadership(settings) as (cluster, leadership), asyncio.TaskGroup() as tasks:
        world = World(bus, prober, leadership, cluster)
        if settings.bus_issuer_file is not None:
            # Late: who does without needs no cryptography in memory.
            from node_registrar.app.admitting import open_gate

            issuer = settings.bus_issuer_file
            await open_gate(settings, issuer, bus, None if cluster is None else cluster.api, tasks)
        tasks.create_task(serve_admin(settings, lambda: _unready(settings, world)), name="admin")
        if cluster is not None:
            tasks.create_task(_stay_in_contact(cluster, settings.contact_s / 3), name="contact")
        while True:
            await leadership.leading()
            try:
                await _lead(settings, world)
            except* (LeadershipLostError, NotLeadingError):
                log.warning("leadership.lost")


@asynccontextmanager
async def _leadership(
    settings: RegistrarSettings,
) -> AsyncIterator[tuple[Cluster | None, Leadership]]:
    """Give the cluster and the leadership in it: nobody's in static mode."""
    if not settings.kubeconfig:
        yield None, StaticTerm()
        return
    async with _api(settings) as api:
        if settings.election == "off":
            leadership: Leadership = StaticTerm()
            yield Cluster(api, leadership, settings.request_timeout_s), leadership
            return
        timing = Timing(
            lease_duration_s=settings.election_lease_s,
            renew_deadline_s=settings.election_renew_deadline_s,
            retry_period_s=settings.election_retry_s,
        )
        elector = Elector(
            api,
            namespace=settings.election_namespace,
            name="node-registrar",
            identity=settings.election_identity,
            timing=timing,
        )
        async with elector.campaign():
            yield Cluster(api, elector, settings.request_timeout_s), elector


@asynccontextmanager
async def _api(settings: RegistrarSettings) -> AsyncIterator[Api]:
    path = None if settings.kubeconfig == IN_CLUSTER else Path(settings.kubeconfig)
    agent = f"wasmlet-node-registrar/{version('node-registrar')}"
    async with AsyncExitStack() as stack:
        try:
            api = await stack.enter_async_context(
                api_client(path, user_agent=agent, connections=_CONNECTIONS)
            )
        except KubekitError as error:
            raise ClusterAccessError(str(error)) from error
        yield api


async def _lead(settings: RegistrarSettings, world: World) -> None:
    """Serve while this replica leads; raises when it does not any more."""
    async with (
        asyncio.TaskGroup() as answering,
        Ears(world.bus, answering) as ears,
        asyncio.TaskGroup() as tasks,
    ):
        voice = Voice(world.bus)
        publisher = Publisher(voice, world.leadership)
        around = Surroundings(world.leadership, voice, publisher, world.prober, tasks)
        ledger = _ledger(settings, world, publisher, tasks)
        with Pool(settings, ledger, around) as pool:
            await ears.open(pool)
            tasks.create_task(pool.open_named(), name="named-nodes")
            tasks.create_task(_reconnects(world.bus, pool), name="bus-reconnects")
            tasks.create_task(pool.repeat(), name="repeat-grants")
            tasks.create_task(pool.let_go(), name="let-go")
            log.info("registrar.leading", mode="cluster" if world.cluster else "static")
            await world.leadership.lost()
            raise LeadershipLostError("another replica may lead")


def _ledger(
    settings: RegistrarSettings, world: World, publisher: Publisher, tasks: asyncio.TaskGroup
) -> Ledger:
    if world.cluster is None:
        return StaticLedger()
    events = EventSender(world.cluster.api)
    tasks.create_task(events.run(), name="events")
    nodes = Nodes(world.cluster)
    if settings.approve_certificates:
        from node_registrar.app.approving import Approver  # late, as the gate
        from node_registrar.signingrequests import SigningRequests

        approver = Approver(settings, nodes, SigningRequests(world.cluster))
        tasks.create_task(approver.run(), name="approve-certificates")
    named = settings.installation
    births = Births(
        nodes, Installation(world.cluster, named) if named else None, settings.host_prefix
    )
    writer = NodeWriter(nodes, births, settings, events)
    hosting = Hosting(settings, world.cluster, nodes)
    silences = Silences(
        window_s=settings.silence_window_s, tolerance_s=settings.silence_tolerance_s
    )
    means = Means(world.cluster, writer, world.prober, publisher, hosting, silences)
    upkeep = Upkeep(settings, means)
    return NodeLedger(writer, upkeep, tasks)


async def _reconnects(bus: Bus, pool: Pool) -> None:
    while True:
        await bus.wait_reconnected()
        pool.bus_returned()
        await pool.publish_all()


async def _stay_in_contact(cluster: Cluster, period_s: float) -> None:
    """Ask the API server for its version when nothing else has asked it anything."""
    while True:
        if cluster.silent_s() >= period_s:
            try:
                await cluster.read("/version")
            except ApiError as error:
                log.warning("cluster.silent", reason=str(error))
        await asyncio.sleep(period_s)


def _unready(settings: RegistrarSettings, world: World) -> str | None:
    if not world.bus.ready:
        return "NATS is away"
    if world.cluster is not None and world.cluster.silent_s() > settings.contact_s:
        return "the API server is away"
    return None
