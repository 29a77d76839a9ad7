"""Nodes that have ended are let go of, and no others: by the registrar's word alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contract.errors import CommandError
from contract.ids import EVERY_NODE, NodeName
from contract.messages.node import NodeCheck, NodeChecked
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.departures import Departures
from servicekit.settings import ServiceSettings

NODE = NodeName("wasm.node-1")
OTHER = NodeName("other")
QUIET_S = 0.1


class Registrar:
    """Says of each node what a test wants, and counts the questions."""

    def __init__(self) -> None:
        self.ended: set[NodeName] = set()
        self.asked: list[NodeName] = []
        self.refuses = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def check(self, node: NodeName, command: NodeCheck) -> NodeChecked:
        assert command.node == node
        self.asked.append(node)
        answer = NodeChecked(node=node, ended=node in self.ended)
        await self.may_answer.wait()
        if self.refuses:
            raise CommandError(503, "this registrar leads no more")
        return answer


class Clock:
    """Goes until a test takes it in hand."""

    def __init__(self) -> None:
        self.now_s: float | None = None

    def __call__(self) -> float:
        return time.monotonic() if self.now_s is None else self.now_s


class Service:
    """Somebody who lets go of nodes."""

    def __init__(self, departures: Departures) -> None:
        self.departures = departures
        self.let_go: list[NodeName] = []

    async def run(self) -> None:
        async def let_go(node: NodeName) -> None:
            self.let_go.append(node)

        await self.departures.run(let_go)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER]) as server:
        yield server


@pytest.fixture
async def registrar(nats: EmbeddedNats) -> AsyncIterator[Registrar]:
    async with joined(nats, Role.NODE_REGISTRAR) as bus, asyncio.TaskGroup() as tasks:
        peer = Registrar()
        await bus.serve(tasks, NodeCheck, EVERY_NODE, peer.check)
        yield peer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(nats: EmbeddedNats, clock: Clock) -> AsyncIterator[Service]:
    async with joined(nats, Role.POD_RECONCILER) as bus, asyncio.TaskGroup() as tasks:
        service = Service(Departures(bus, QUIET_S, clock))
        running = tasks.create_task(service.run())
        yield service
        running.cancel()


@asynccontextmanager
async def joined(nats: EmbeddedNats, role: Role) -> AsyncIterator[Bus]:
    settings = ServiceSettings(nats_url=nats.url, nats_password_file=nats.password_file(role))
    async with connected(settings, role) as bus:
        yield bus


async def asked_about(registrar: Registrar, node: NodeName, times: int) -> None:
    """Wait until so many more questions were asked."""
    enough = registrar.asked.count(node) + times
    async with asyncio.timeout(10):
        while registrar.asked.count(node) < enough:
            await asyncio.sleep(0.01)


async def test_a_node_that_has_ended_is_let_go_of_once_and_again_after_it_was_back(
    registrar: Registrar, service: Service
) -> None:
    registrar.ended.add(NODE)
    service.departures.heard(NODE)
    service.departures.heard(OTHER)
    await asked_about(registrar, OTHER, 3)
    assert service.let_go == [NODE]
    assert registrar.asked.count(NODE) == 1
    service.departures.heard(NODE)
    await asked_about(registrar, OTHER, 3)
    assert service.let_go == [NODE, NODE]


async def test_a_node_that_is_granted_is_not_asked_about(
    registrar: Registrar, service: Service, clock: Clock
) -> None:
    clock.now_s = 1000.0
    for node in (NODE, OTHER):
        service.departures.heard(node)
    for _ in range(3):
        for _ in range(2):
            service.departures.heard(NODE)
            clock.now_s += 0.9 * QUIET_S
        await asked_about(registrar, OTHER, 1)
    assert NODE not in registrar.asked


async def test_a_refusal_ends_no_node(registrar: Registrar, service: Service) -> None:
    registrar.ended.add(NODE)
    registrar.refuses = True
    service.departures.heard(NODE)
    await asked_about(registrar, NODE, 3)
    assert service.let_go == []
    registrar.refuses = False
    await asked_about(registrar, NODE, 1)
    async with asyncio.timeout(10):
        while not service.let_go:
            await asyncio.sleep(0.01)


async def test_a_registrar_of_before_that_hears_no_such_question_ends_no_node(
    service: Service,
) -> None:
    with capture_logs() as told:
        service.departures.heard(NODE)
        async with asyncio.timeout(10):
            while sum(each["event"] == "node.unchecked" for each in told) < 3:
                await asyncio.sleep(0.01)
    assert service.let_go == []


async def test_a_grant_is_newer_than_an_answer_that_it_overtakes(
    registrar: Registrar, service: Service
) -> None:
    registrar.ended.add(NODE)
    registrar.may_answer.clear()
    service.departures.heard(NODE)
    await asked_about(registrar, NODE, 1)
    service.departures.heard(NODE)
    registrar.ended.clear()
    registrar.may_answer.set()
    await asked_about(registrar, NODE, 1)
    assert service.let_go == []
