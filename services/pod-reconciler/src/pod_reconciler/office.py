"""All desks of one term of leadership, and the bus between them and the executors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from nats.aio.subscription import Subscription

from contract.ids import EVERY_NODE, NodeName
from contract.messages.blob import BlobRead
from contract.messages.node import NodeBeat, NodeGranted
from contract.messages.pod import PodsList
from contract.messages.report import PodHappened, PodReported
from pod_reconciler.desk import NodeDesk
from pod_reconciler.errors import ActFailedError
from pod_reconciler.lanes import Pace
from pod_reconciler.links import Links
from pod_reconciler.metrics import NODES
from pod_reconciler.serving import Library
from servicekit.bus import Bus
from servicekit.departures import Departures
from servicekit.ending import end

log = structlog.get_logger()

_EVERYDAY_FAILURES = 10


class Office:
    """A desk per granted node, made when the registrar says so."""

    def __init__(self, bus: Bus, links: Links, tasks: asyncio.TaskGroup) -> None:
        self._bus = bus
        self._links = links
        self._tasks = tasks
        self.desks: dict[NodeName, NodeDesk] = {}
        self._library = Library(self.desks.get)
        self._departures = Departures(bus, links.settings.node_check_s)

    async def work(self) -> None:
        """Listen, ask who holds which node, and go on until cancelled."""
        async with self._listening():
            self._tasks.create_task(self._departures.run(self._ended), name="departures")
            await self._learn_grants()
            while True:
                await self._bus.wait_reconnected()
                for desk in self.desks.values():
                    desk.take_stock()
                await self._learn_grants()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        bus, library = self._bus, self._library
        subscriptions: list[Subscription] = [
            await bus.listen(NodeGranted, EVERY_NODE, self._granted),
            await bus.listen(NodeBeat, EVERY_NODE, self._beaten),
            await bus.listen(PodReported, EVERY_NODE, self._reported),
            await bus.listen(PodHappened, EVERY_NODE, self._happened),
            await bus.serve(self._tasks, PodsList, EVERY_NODE, library.list_pods),
            await bus.serve(self._tasks, BlobRead, EVERY_NODE, library.read_blob, stream=True),
        ]
        try:
            yield
        finally:
            for desk in self.desks.values():
                desk.leave()
            await end(*subscriptions)
            NODES.set(0)

    async def _learn_grants(self) -> None:
        settings = self._links.settings
        pace = Pace(settings.command_backoff_s, settings.command_backoff_max_s)
        failures = 0
        while True:
            try:
                grants = await self._links.executors.grants()
            except ActFailedError as error:
                failures += 1
                # The registrar may start a moment later than this service does.
                tell = log.warning if failures > _EVERYDAY_FAILURES else log.info
                tell("grants.unknown", reason=str(error))
                await asyncio.sleep(pace.delay_s(failures))
            else:
                for grant in grants:
                    self._granted(grant.node, grant)
                return

    def _granted(self, node: NodeName, grant: NodeGranted) -> None:
        self._departures.heard(node)
        desk = self.desks.get(node)
        if desk is None:
            desk = self.desks[node] = NodeDesk(node, self._links, self._tasks)
            NODES.set(len(self.desks))
        desk.granted(grant)

    async def _ended(self, node: NodeName) -> None:
        """Let go of a node. One that is granted meanwhile gets a desk when that is said again."""
        desk = self.desks.get(node)
        if desk is not None:
            await desk.close()
            del self.desks[node]
            NODES.set(len(self.desks))

    def _beaten(self, node: NodeName, beat: NodeBeat) -> None:
        if (desk := self.desks.get(node)) is not None:
            desk.beaten(beat)

    def _reported(self, node: NodeName, report: PodReported) -> None:
        if (desk := self.desks.get(node)) is not None:
            desk.reported(report)

    def _happened(self, node: NodeName, event: PodHappened) -> None:
        if (desk := self.desks.get(node)) is not None:
            desk.happened(event)
