"""A registrar in static mode, on a bus of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from registrar_peers import LogServer, joined
from registrar_process import Registrar
from registrar_static_mode import NODE, OTHER, SETTINGS, Peers

from contract.subjects import Role
from embedded_nats import EmbeddedNats


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER]) as server:
        yield server


@pytest.fixture
def registrar(nats: EmbeddedNats, tmp_path: Path) -> Iterator[Registrar]:
    with Registrar(nats, tmp_path, **SETTINGS) as process:
        yield process


@pytest.fixture
async def peers(nats: EmbeddedNats, tmp_path: Path) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(joined(nats, Role.WASM_EXECUTOR, NODE))
        bus = await stack.enter_async_context(joined(nats, Role.LOG_SERVER))
        server = await LogServer(bus).listen(stack, tmp_path)
        async with asyncio.TaskGroup() as tasks:
            yield Peers(executor, server, tasks)
            for task in tuple(tasks._tasks):
                task.cancel()
