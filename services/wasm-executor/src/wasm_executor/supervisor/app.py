"""Wires the supervisor and owns its tasks.

Containers do not depend on the bus: what a supervisor before this one left running is taken over
before NATS answers, and goes on while it does not. A first start waits for the grant, because
somebody else may hold the node name by now.
"""

import asyncio
import platform
import resource
from typing import NoReturn

import structlog

from contract.ids import NodeName
from contract.subjects import Role
from servicekit.admin import serve_admin
from servicekit.bus import Bus, connected
from servicekit.errors import StopRequested
from servicekit.running import raise_on_signal, stop_absorbed
from servicekit.tracing import Tracer, traced
from wasm_executor.container.landlock import LEAST_ABI, landlock_abi
from wasm_executor.container.seccomp import can_restrict_calls
from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.puller import ImageService
from wasm_executor.images.settings import ImageSettings
from wasm_executor.keeper.client import KeeperClient
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor import metrics
from wasm_executor.supervisor.control import drain_on_power_failure, obey
from wasm_executor.supervisor.externals import load_externals
from wasm_executor.supervisor.facts import node_facts, runtime_names
from wasm_executor.supervisor.granting import Grant
from wasm_executor.supervisor.health import answer_health
from wasm_executor.supervisor.identity import Identity
from wasm_executor.supervisor.imagegarbage import collect_images
from wasm_executor.supervisor.logs.pages import keep_freed_pages
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.plans import require_memory
from wasm_executor.supervisor.pods.roster import Roster
from wasm_executor.supervisor.reporting import Reporter
from wasm_executor.supervisor.shutdown import Shutdown
from wasm_executor.supervisor.usage.evicting import evict_regularly

log = structlog.get_logger()


async def supervise(settings: ExecutorSettings, identity: Identity) -> None:
    """Run until SIGTERM."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # plans are in memory
    keep_freed_pages()
    for folder in (settings.run_dir, settings.data_dir, settings.log_root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.run_dir_may_be_disk:
        require_memory(settings.run_dir)
    if landlock_abi() < LEAST_ABI:
        log.warning("landlock.missing", abi=landlock_abi(), least_abi=LEAST_ABI)
    if not can_restrict_calls():
        log.warning("seccomp.missing", machine=platform.machine())
    keeper = await KeeperClient.connect(identity.keeper_fd)
    log.info(
        "supervisor.started",
        node=settings.node_name,
        executor_id=identity.incarnation.executor_id,
        start_count=identity.incarnation.start_count,
        epoch=identity.epoch,
    )
    with stop_absorbed(), traced("wasm-executor", settings.traces_endpoint) as tracer:
        async with asyncio.TaskGroup() as tasks:
            await Supervisor(settings, identity, tasks, keeper, tracer).start()
    keeper.close()


class Supervisor:
    """The parts, put together in one task group."""

    def __init__(
        self,
        settings: ExecutorSettings,
        identity: Identity,
        tasks: asyncio.TaskGroup,
        keeper: KeeperClient,
        tracer: Tracer,
    ) -> None:
        self._settings = settings
        self._tracer = tracer
        self._tasks = tasks
        self._images: asyncio.Future[ImageService] = asyncio.get_running_loop().create_future()
        reporter = Reporter(NodeName(settings.node_name), identity.incarnation, identity.epoch)
        self._node = Node(
            settings, identity, tasks, keeper=keeper, images=self._images, reporter=reporter
        )
        self._roster = Roster(self._node)
        self._shutdown = Shutdown(self._node, self._roster, self._announce)
        self._bus: Bus | None = None
        self._grant: Grant | None = None
        self._adopted = False

    async def start(self) -> None:
        settings, node = self._settings, self._node
        self._tasks.create_task(self._stop_on_signal(), name="signals")
        folder, taken = settings.external_runtimes_dir, runtime_names()
        node.externals = await asyncio.to_thread(load_externals, folder, taken)
        self._tasks.create_task(self._open_images(), name="images")
        toolbox = node.toolbox.prepare(settings.image_delay_s)
        self._tasks.create_task(toolbox, name="toolbox")
        await self._roster.end_execs()
        if node.standing.granted == node.identity.incarnation:
            await self._adopt()
        metrics.RUNNING_PODS.set_function(self._roster.running)
        metrics.KNOWN_PODS.set_function(self._roster.__len__)
        interval_s = settings.memory_check_interval_s
        sync = node.checkpoint.sync_from_time_to_time(settings.checkpoint_sync_s)
        self._tasks.create_task(self._roster.hear_exits(), name="exits")
        self._tasks.create_task(node.memory.look_often(interval_s), name="memory")
        self._tasks.create_task(sync, name="checkpoint")
        audit = self._roster.audit_regularly(settings.audit_interval_s)
        self._tasks.create_task(audit, name="audit")
        eviction = evict_regularly(self._roster, node.volumes, settings.eviction_interval_s)
        self._tasks.create_task(eviction, name="eviction")
        garbage = collect_images(node, self._roster)
        self._tasks.create_task(garbage, name="image-garbage")
        self._tasks.create_task(self._live_on_the_bus(), name="bus")
        self._tasks.create_task(serve_admin(settings, self._unready), name="admin")
        health_folder = settings.health_folder or settings.run_dir
        self._tasks.create_task(answer_health(health_folder, self._holds), name="health")
        self._tasks.create_task(obey(settings.run_dir, self._shutdown), name="control")
        drained = drain_on_power_failure(self._shutdown, settings.shutdown_grace_s)
        self._tasks.create_task(drained, name="power")

    async def _adopt(self) -> None:
        """Go on with the pods of an earlier supervisor or keeper, once."""
        if not self._adopted:
            self._adopted = True
            table = await self._node.keeper.containers()
            await self._roster.adopt(self._node.plans.load(), table)
            self._shutdown.resume()

    async def _open_images(self) -> None:
        settings = self._settings
        root = settings.local_image_root
        images = await ImageService.open(
            ImageSettings(
                root=settings.data_dir / "images",
                insecure_registries=settings.insecure_registries,
                ca_file=settings.registry_ca_file,
                config_dir=settings.registry_config_dir,
                token_hosts=settings.registry_token_hosts,
                verification=settings.image_credentials_policy,
                unverified_images=settings.image_credentials_allowlist,
                local_folders=() if root is None else (root,),
                pulls_per_registry=settings.pulls_per_registry,
                compile_jobs=settings.compile_jobs,
                slow_compile_s=settings.slow_compile_s,
                gc_high_percent=settings.image_gc_high_percent,
                gc_low_percent=settings.image_gc_low_percent,
                gc_min_age_s=settings.image_gc_min_age_s,
                pull_limits=PullLimits(
                    stall_timeout_s=settings.pull_stall_timeout_s,
                    total_timeout_s=settings.pull_timeout_s,
                    max_rootfs_bytes=settings.rootfs_max_bytes,
                    max_rootfs_entries=settings.rootfs_max_entries,
                ),
            ),
            self._tasks,
        )
        self._images.set_result(images)

    async def _live_on_the_bus(self) -> None:
        node = NodeName(self._settings.node_name)
        facts = await asyncio.to_thread(node_facts, self._settings, self._node.externals)
        async with (
            connected(self._settings, Role.WASM_EXECUTOR, node, tracer=self._tracer) as bus,
            asyncio.TaskGroup() as tasks,
        ):
            self._bus = bus
            self._grant = Grant(self._node, self._roster, self._shutdown, bus, facts)
            tasks.create_task(bus.wait_closed(), name="bus-closed")
            tasks.create_task(self._grant.run(self._adopt), name="grant")
            tasks.create_task(self._grant.beat_regularly(), name="beats")

    async def _stop_on_signal(self) -> NoReturn:
        """End the containers within their grace, give the node back, then end the group."""
        try:
            await raise_on_signal()
        except StopRequested:
            log.info("supervisor.stopping", pods=len(self._roster))
            if self._grant is not None:
                await self._grant.stop()
            else:
                await self._roster.halt(drop=False)
            raise

    async def _announce(self) -> None:
        if self._grant is not None and self._grant.held:
            await self._grant.beat()

    def _holds(self) -> bool:
        return self._grant is not None and self._grant.held

    def _unready(self) -> str | None:
        if self._bus is None or not self._bus.ready:
            return "not connected to NATS"
        if not self._holds():
            return "the node name is not granted"
        return None
