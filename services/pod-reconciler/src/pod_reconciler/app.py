"""Wires the service: the bus, the cluster or the folder, and the terms of leadership."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from contract.subjects import Role
from kubekit.client import Api, api_client
from kubekit.election import Elector
from kubekit.errors import KubekitError
from kubekit.leadership import Leadership, StaticTerm
from kubekit.leases import Timing
from kubekit.reflector import Pace
from pod_reconciler import lanes
from pod_reconciler.bus import Executors
from pod_reconciler.domain.cluster import Cluster
from pod_reconciler.errors import ClusterAccessError
from pod_reconciler.events import NodeEvents
from pod_reconciler.kube import Contact, KubeCluster
from pod_reconciler.links import Links
from pod_reconciler.mirroring import MirroringCluster
from pod_reconciler.objects import Freshness
from pod_reconciler.office import Office
from pod_reconciler.settings import LEASE_NAME, Settings
from pod_reconciler.static import StaticCluster
from pod_reconciler.supplies import Supplies
from servicekit.admin import serve_admin
from servicekit.bus import Bus, connected
from servicekit.running import raise_on_signal, stop_absorbed
from servicekit.tracing import traced

log = structlog.get_logger()

USER_AGENT = "wasmlet-pod-reconciler"


class _LeadershipLostError(Exception):
    """Ends the tasks of a term."""


async def run(settings: Settings) -> None:
    """Run until SIGTERM."""
    endpoint, ratio = settings.traces_endpoint, settings.traces_sampling_ratio
    with stop_absorbed(), traced("pod-reconciler", endpoint, ratio) as tracer:
        async with (
            connected(settings, Role.POD_RECONCILER, tracer=tracer) as bus,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(raise_on_signal(), name="signals")
            tasks.create_task(bus.wait_closed(), name="bus-closed")
            if settings.is_static:
                tasks.create_task(_serve_folder(settings, bus), name="static")
            else:
                tasks.create_task(_serve_cluster(settings, bus), name="cluster")


async def _serve_folder(settings: Settings, bus: Bus) -> None:
    assert settings.manifests is not None, "the settings see to it"
    cluster = StaticCluster(
        settings.manifests, settings.manifests_interval_s, status_file=settings.status_file
    )
    cluster.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_admin(settings, lambda: _why_not_ready(bus)), name="admin")
        await lead_again_and_again(settings, bus, cluster, StaticTerm())


async def _serve_cluster(settings: Settings, bus: Bus) -> None:
    async with (
        _api(settings) as api,
        asyncio.TaskGroup() as tasks,
    ):
        contact = Contact(api, settings.api_probe_interval_s)
        tasks.create_task(contact.watch(), name="api-contact")
        tasks.create_task(serve_admin(settings, lambda: _why_not_ready(bus, contact)), name="admin")
        pace = Pace(
            watch_min_s=settings.watch_min_s,
            watch_max_s=settings.watch_max_s,
            backoff_initial_s=settings.watch_backoff_s,
            backoff_maximum_s=settings.watch_backoff_max_s,
        )
        cluster = MirroringCluster(
            KubeCluster(api, NodeEvents(api, tasks), pace),
            settings.manifests,
            settings.manifests_interval_s,
            lanes.Pace(settings.write_backoff_s, settings.write_backoff_max_s),
        )
        freshness = Freshness(period_s=settings.objects_period_s, retry_s=settings.objects_retry_s)
        async with _election(settings, api) as leadership:
            await lead_again_and_again(
                settings,
                bus,
                cluster,
                leadership,
                lambda: Supplies(api, pace, freshness, settings.namespaces),
            )


@asynccontextmanager
async def _api(settings: Settings) -> AsyncIterator[Api]:
    async with AsyncExitStack() as stack:
        try:
            api = await stack.enter_async_context(
                api_client(settings.kubeconfig_file, user_agent=USER_AGENT)
            )
        except KubekitError as error:
            raise ClusterAccessError(str(error)) from error
        yield api


def _why_not_ready(bus: Bus, contact: Contact | None = None) -> str | None:
    if not bus.ready:
        return "NATS is away"
    if contact is not None and not contact.stands:
        return "the API server is away"
    return None


@asynccontextmanager
async def _election(settings: Settings, api: Api) -> AsyncIterator[Leadership]:
    if settings.election == "off":
        yield StaticTerm()
        return
    elector = Elector(
        api,
        namespace=settings.election_namespace,
        name=LEASE_NAME,
        identity=settings.election_identity,
        timing=Timing(
            lease_duration_s=settings.election_lease_s,
            renew_deadline_s=settings.election_renew_deadline_s,
            retry_period_s=settings.election_retry_s,
        ),
    )
    async with elector.campaign():
        yield elector


async def lead_again_and_again(
    settings: Settings,
    bus: Bus,
    cluster: Cluster,
    leadership: Leadership,
    supply: Callable[[], Supplies | None] = lambda: None,
) -> None:
    """Work while leading, and wait to lead while not, until cancelled."""
    while True:
        term = await leadership.leading()
        log.info("term.started", uid=term.uid, transitions=term.transitions)
        supplies = supply()
        links = Links(
            settings=settings,
            cluster=cluster,
            executors=Executors(bus, settings.command_timeout_s),
            leadership=leadership,
            supplies=supplies,
            write_slots=asyncio.Semaphore(settings.write_concurrency),
            tracer=bus.tracer,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_until_lost(leadership), name="leadership")
                if supplies is not None:
                    tasks.create_task(supplies.run(), name="supplies")
                tasks.create_task(Office(bus, links, tasks).work(), name="office")
        except* _LeadershipLostError:
            log.warning("term.ended")


async def _until_lost(leadership: Leadership) -> None:
    await leadership.lost()
    raise _LeadershipLostError
