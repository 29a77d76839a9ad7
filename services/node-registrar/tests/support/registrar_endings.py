"""A registrar's pool for tests of nodes that end: every word of others comes when a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast

from registrar_peers import FACTS, life

from contract.ids import NodeName
from contract.messages.form import Incarnation
from contract.messages.node import (
    NodeBeat,
    NodeCheck,
    NodeGranted,
    NodeRegister,
    ServerAnnounced,
)
from kubekit.errors import NotLeadingError, UnreachableError
from kubekit.leadership import StaticTerm
from kubekit.leases import Term
from node_registrar.app.member import Member
from node_registrar.app.pool import Pool
from node_registrar.app.publishing import Publisher
from node_registrar.app.surroundings import Surroundings
from node_registrar.bus import Voice
from node_registrar.domain.addresses import Endpoint
from node_registrar.domain.granting import Grant
from node_registrar.domain.node_view import NodeMeta, NodeView
from node_registrar.healthz import HealthProber
from node_registrar.settings import RegistrarSettings

NODE = NodeName("wasm-one")
OTHER = NodeName("wasm-two")
SETTINGS = RegistrarSettings(lease_s=40, lease_renew_s=0.01)
LATER_S = 41.0
VIEW = NodeView(metadata=NodeMeta(name=NODE, uid="u", resource_version="1"))


class Ledger:
    """Has a Node or not, as a test says, and answers when the test lets it."""

    believes_beats = False

    def __init__(self) -> None:
        self.node: NodeView | None = None
        self.is_away = False
        self.may_open, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_open.set()
        self.may_answer.set()
        self.asked = 0
        self.opened: list[Member] = []
        self.closed: list[Member] = []

    async def open(self, member: Member) -> None:
        self.opened.append(member)
        await self.may_open.wait()
        member.node = self.node

    async def record(self, member: Member, grant: Grant) -> None:
        del grant
        member.node = self.node = VIEW

    async def has_node(self, name: NodeName) -> bool:
        if name != NODE:
            return False
        self.asked += 1
        is_there = self.node is not None
        await self.may_answer.wait()
        if self.is_away:
            raise UnreachableError("no answer")
        return is_there

    def close(self, member: Member) -> None:
        self.closed.append(member)


class Prober:
    """No log-server answers; `meanwhile` happens while one is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.meanwhile: Callable[[], None] | None = None

    async def healthy(self, _: Endpoint | None) -> bool:
        if self.meanwhile is not None:
            self.meanwhile()
        self.asked += 1
        return False


class RecordedVoice:
    """Nobody hears it but the test, which may have it take long."""

    def __init__(self) -> None:
        self.said: list[NodeName] = []
        self.may_say = asyncio.Event()
        self.may_say.set()

    async def granted(self, event: NodeGranted) -> None:
        self.said.append(event.node)
        await self.may_say.wait()

    async def revoke(self, node: NodeName, executor_id: str, holder: Incarnation) -> None:
        """No matter."""


class Leading(StaticTerm):
    """Leads until the test says otherwise."""

    is_over = False

    def assert_leading(self) -> Term:
        if self.is_over:
            raise NotLeadingError("another one leads")
        return super().assert_leading()


class Registrar:
    """A pool whose clock stands until it is told otherwise, and that looks all the time."""

    def __init__(self, tasks: asyncio.TaskGroup, settings: RegistrarSettings = SETTINGS) -> None:
        self.now_s = 1000.0
        self.ledger, self.prober = Ledger(), Prober()
        self.voice, self.leadership = RecordedVoice(), Leading()
        voice, prober = cast("Voice", self.voice), cast("HealthProber", self.prober)
        publisher = Publisher(voice, self.leadership)
        around = Surroundings(self.leadership, voice, publisher, prober, tasks, lambda: self.now_s)
        self.pool = Pool(settings, self.ledger, around)

    async def register(self, node: NodeName = NODE) -> None:
        await self.pool.register(node, NodeRegister(node=node, incarnation=life(), facts=FACTS))

    async def has_ended(self, node: NodeName = NODE) -> bool:
        return (await self.pool.check(node, NodeCheck(node=node))).ended

    def beat(self) -> None:
        beat = NodeBeat(
            node=NODE, incarnation=life(), epoch=1, at=datetime.now(UTC), inventory_digest=""
        )
        self.pool.beat(NODE, beat)

    def announce(self, node: NodeName) -> None:
        event = ServerAnnounced(node=node, address="10.0.0.7", port=1, certificate_sha256="00" * 32)
        self.pool.announced(node, event)

    def node_goes(self) -> None:
        """Its Node is deleted, and its executor is silent for longer than a Lease."""
        self.ledger.node = None
        self.ledger.opened[-1].node = None
        self.now_s += LATER_S

    async def looks(self, times: int = 2) -> None:
        """Wait until it has asked so often whether there is the Node."""
        enough = self.ledger.asked + times
        await until(lambda: self.ledger.asked >= enough)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def looking() -> AsyncIterator[Registrar]:
    """One that looks until the body has ended."""
    async with asyncio.TaskGroup() as tasks:
        registrar = Registrar(tasks)
        looking = tasks.create_task(registrar.pool.let_go())
        yield registrar
        looking.cancel()
