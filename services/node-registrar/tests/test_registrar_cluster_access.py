"""The registrar and an API server that is not there, or not to be had."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from registrar_peers import Executor, eventually, joined
from registrar_process import Registrar

from contract.errors import CommandError
from contract.ids import NodeName
from contract.subjects import Role
from embedded_nats import EmbeddedNats

NODE = NodeName("n")
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
"""


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", [NODE]) as server:
        yield server


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return path


async def test_nothing_is_granted_that_cannot_be_recorded(
    nats: EmbeddedNats, kubeconfig: Path, tmp_path: Path
) -> None:
    with Registrar(nats, tmp_path, kubeconfig=str(kubeconfig)) as registrar:
        async with joined(nats, Role.WASM_EXECUTOR, NODE) as bus:
            with pytest.raises(CommandError) as refusal:
                await Executor(bus, NODE).register()
            assert refusal.value.code == 503

        async def unready() -> bool:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"{registrar.admin_url()}/readyz")
            return (answer.status_code, answer.text) == (503, "the API server is away")

        await eventually(unready)
        assert registrar.stop() == 0


def test_an_unusable_kubeconfig_ends_it_with_one_line(nats: EmbeddedNats, tmp_path: Path) -> None:
    with Registrar(nats, tmp_path, kubeconfig=str(tmp_path / "missing")) as registrar:
        assert registrar.wait() == 1
        (failed,) = registrar.records("service.failed")
        assert "missing" in failed["reason"]
        assert "Traceback" not in registrar.output()
