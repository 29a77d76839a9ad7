"""What happens between two words of others while a registrar looks which nodes have ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import cast

import pytest
from prometheus_client import REGISTRY
from registrar_peers import FACTS, life

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Incarnation
from contract.messages.node import (
    NodeBeat,
    NodeCheck,
    NodeGranted,
    NodeRegister,
    NodeRelease,
    ServerAnnounced,
)
from kubekit.errors import UnreachableError
from kubekit.leadership import StaticTerm
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
    """Has a Node or not, as a test says; it is asked when the test lets it be."""

    believes_beats = False

    def __init__(self) -> None:
        self.node: NodeView | None = None
        self.is_away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = 0
        self.opened: list[Member] = []
        self.closed: list[Member] = []

    async def open(self, member: Member) -> None:
        self.opened.append(member)
        member.node = self.node

    async def record(self, member: Member, grant: Grant) -> None:
        del grant
        member.node = self.node = VIEW

    async def has_node(self, name: NodeName) -> bool:
        if name != NODE:
            return False
        self.asked += 1
        await self.may_answer.wait()
        if self.is_away:
            raise UnreachableError("no answer")
        return self.node is not None

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


class SilentVoice:
    """Nobody hears it."""

    async def granted(self, event: NodeGranted) -> None:
        """No matter."""

    async def revoke(self, node: NodeName, executor_id: str, holder: Incarnation) -> None:
        """No matter."""


class Registrar:
    """A pool whose clock stands until it is told otherwise, and that looks all the time."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.now_s = 1000.0
        self.ledger, self.prober = Ledger(), Prober()
        voice, leadership = cast("Voice", SilentVoice()), StaticTerm()
        prober = cast("HealthProber", self.prober)
        publisher = Publisher(voice, leadership)
        around = Surroundings(leadership, voice, publisher, prober, tasks, lambda: self.now_s)
        self.pool = Pool(SETTINGS, self.ledger, around)

    async def register(self) -> None:
        await self.pool.register(NODE, NodeRegister(node=NODE, incarnation=life(), facts=FACTS))

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


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    async with asyncio.TaskGroup() as tasks:
        registrar = Registrar(tasks)
        looking = tasks.create_task(registrar.pool.let_go())
        yield registrar
        looking.cancel()


async def test_who_is_dead_and_has_no_node_is_let_go_of_and_may_come_back(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.node_goes()
    await until(lambda: registrar.ledger.closed)
    assert registrar.ledger.closed == registrar.ledger.opened
    assert await registrar.has_ended()
    await registrar.register()
    assert len(registrar.ledger.opened) == 2
    assert not await registrar.has_ended()


async def test_while_the_api_server_is_away_nothing_ends_and_nothing_is_said(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.ledger.is_away = True
    registrar.node_goes()
    await registrar.looks()
    assert not registrar.ledger.closed
    registrar.ledger.is_away = False
    await until(lambda: registrar.ledger.closed)
    registrar.ledger.is_away = True
    with pytest.raises(CommandError, match="no answer"):
        await registrar.has_ended()


async def test_what_happens_while_healthz_is_asked_is_newer_than_its_answer(
    registrar: Registrar,
) -> None:
    await registrar.register()

    def node_is_back() -> None:
        registrar.ledger.opened[-1].node = VIEW

    for happens in (registrar.beat, node_is_back):
        registrar.prober.meanwhile = happens
        before = registrar.prober.asked
        registrar.node_goes()
        await until(lambda: registrar.prober.asked > before)  # noqa: B023 - awaited here
        assert not registrar.ledger.closed
    registrar.prober.meanwhile = None
    registrar.node_goes()
    await until(lambda: registrar.ledger.closed)


async def test_a_bus_that_was_away_until_now_lets_nobody_end(registrar: Registrar) -> None:
    await registrar.register()
    registrar.pool.bus_returned()
    registrar.node_goes()
    registrar.pool.bus_returned()
    assert not await registrar.has_ended()
    assert not await registrar.has_ended(OTHER), "it may live, and not have spoken yet"
    registrar.now_s += LATER_S
    await until(lambda: registrar.ledger.closed)
    assert await registrar.has_ended(OTHER)


async def test_who_registers_a_name_that_was_given_back_keeps_it_from_ending(
    registrar: Registrar,
) -> None:
    await registrar.register()
    await registrar.pool.release(NODE, NodeRelease(node=NODE, incarnation=life()))
    registrar.ledger.may_answer.clear()
    registrar.node_goes()
    await registrar.looks(times=1)
    asking = asyncio.create_task(registrar.register())
    await asyncio.sleep(0)  # it waits for its turn
    registrar.ledger.may_answer.set()
    await asking
    assert not registrar.ledger.closed


async def test_who_registers_while_the_node_is_let_go_of_is_told_to_ask_again(
    registrar: Registrar,
) -> None:
    await registrar.register()
    registrar.ledger.may_answer.clear()
    registrar.node_goes()
    await registrar.looks(times=1)
    asking = asyncio.create_task(registrar.register())
    await asyncio.sleep(0)  # it waits for its turn
    registrar.now_s += LATER_S
    registrar.ledger.may_answer.set()
    with pytest.raises(CommandError, match="ask again"):
        await asking
    await registrar.register()
    assert not await registrar.has_ended()


async def test_who_is_known_by_announcements_alone_is_so_while_they_come(
    registrar: Registrar,
) -> None:
    registrar.announce(OTHER)
    await registrar.register()
    registrar.node_goes()
    registrar.announce(OTHER)
    await until(lambda: registrar.ledger.closed)  # the other one was looked at before it
    assert known() == 1
    assert await registrar.has_ended(OTHER), "its log-server is to let go of it, too"
    registrar.now_s += LATER_S
    await until(lambda: known() == 0)


def known() -> float | None:
    return REGISTRY.get_sample_value("wasmlet_registrar_nodes")
