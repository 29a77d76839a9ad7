"""A reconciler in this process, with a real bus and a small API server around it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from reconciler_api import PodApi
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    executor_on,
    registrar_on,
)

from contract.ids import NodeName
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from pod_reconciler.app import run
from pod_reconciler.settings import Settings

OTHER_NODE = NodeName("wasm-2")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE, OTHER_NODE]) as server:
        yield server


@pytest.fixture
async def api() -> AsyncIterator[PodApi]:
    async with PodApi().served() as served:
        yield served


@pytest.fixture
async def registrar(nats: EmbeddedNats) -> AsyncIterator[Registrar]:
    async with registrar_on(nats) as peer:
        yield peer


@pytest.fixture
async def executor(nats: EmbeddedNats) -> AsyncIterator[Executor]:
    async with executor_on(nats) as peer:
        yield peer


def write_kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    file.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
    )
    return file


@pytest.fixture
def reconciler(nats: EmbeddedNats, api: PodApi, tmp_path: Path) -> StartReconciler:
    """Starts a reconciler for the body of a `async with`; settings may be given."""
    role = Role.POD_RECONCILER
    kubeconfig = write_kubeconfig(tmp_path, api.url)

    @asynccontextmanager
    async def started(**more: Any) -> AsyncIterator[None]:
        settings = Settings(
            **{
                "nats_url": nats.url,
                "nats_password_file": nats.password_file(role),
                "kubeconfig": str(kubeconfig),
                "election": "off",
                "command_timeout_s": 1.0,
                "write_backoff_s": 0.05,
                "write_backoff_max_s": 0.2,
                "command_backoff_max_s": 0.2,
                "watch_backoff_s": 0.05,
                "watch_backoff_max_s": 0.2,
                **more,
            }
        )
        async with asyncio.TaskGroup() as tasks:
            service = tasks.create_task(run(settings))
            try:
                yield
            finally:
                service.cancel()

    return started
