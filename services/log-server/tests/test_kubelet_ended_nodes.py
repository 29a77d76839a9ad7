"""The port of a node that has ended is closed; the others stay, however silent they are."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from log_server_world import NODE, OTHER, World, eventually, free_ports, world
from prometheus_client import REGISTRY

from contract.ids import NodeName
from log_server import app

CHECK: dict[str, Any] = {"node_check_s": 0.2}


async def asked_about(here: World, node: NodeName, times: int) -> None:
    control = here.peers.control
    enough = control.checked.count(node) + times
    await eventually(lambda: control.checked.count(node) >= enough)


async def test_a_node_that_has_ended_is_let_go_of_and_comes_back_with_its_port_and_a_new_key(
    tmp_path: Path,
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    async with world(tmp_path, nodes=(NODE, OTHER), run_dir=run_dir, **CHECK) as here:
        control = here.peers.control
        await eventually(lambda: NODE in control.announced)
        before = control.announced[NODE]
        async with here.client() as client:
            assert (await client.get("/healthz")).text == "ok"
            control.ended.add(NODE)
            await eventually(lambda: set(here.server.listeners) == {OTHER})
            with pytest.raises(httpx.TransportError):
                await client.get("/healthz")
        assert REGISTRY.get_sample_value("wasmlet_kubelet_listeners") == 1
        assert [each.name for each in run_dir.iterdir()] == [f"kubelet-{OTHER}.pem"]
        assert here.server.unready() is None
        control.announced.clear()
        asked = len(control.checked)
        await asked_about(here, OTHER, 3)
        assert set(control.announced) == {OTHER}
        assert NODE not in control.checked[asked:]

        await control.grant(NODE)
        await eventually(lambda: NODE in control.announced)
        assert control.announced[NODE].certificate_sha256 != before.certificate_sha256
        async with here.client() as client:
            assert (await client.get("/healthz")).text == "ok"


async def test_a_port_that_was_let_go_of_is_the_next_nodes(tmp_path: Path) -> None:
    async with world(tmp_path, nodes=(NODE, OTHER), kubelet_port=free_ports(2), **CHECK) as here:
        port = here.listener(NODE).port
        here.peers.control.ended.add(NODE)
        await eventually(lambda: NODE not in here.server.listeners)
        await here.peers.control.grant(NodeName("n3"))
        await eventually(lambda: NodeName("n3") in here.server.listeners)
        assert here.listener(NodeName("n3")).port == port
        assert here.listener(OTHER).port == port + 1


async def test_the_only_node_comes_back_though_its_port_is_taken_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RETRY_S", 0.05)
    async with world(tmp_path, kubelet_port=free_ports(1), **CHECK) as here:
        port = here.listener().port
        here.peers.control.ended.add(NODE)
        await eventually(lambda: not here.server.listeners)
        assert here.server.unready() == "no node is granted"
        with socket.create_server(("127.0.0.1", port)):
            await here.peers.control.grant(NODE)
            await eventually(lambda: "cannot listen on" in (here.server.unready() or ""))
        await eventually(lambda: here.server.unready() is None)
        assert here.listener().port == port


async def test_a_node_that_is_silent_keeps_its_port(tmp_path: Path) -> None:
    async with world(tmp_path, **CHECK) as here:
        await here.peers.leave(NODE)
        await asked_about(here, NODE, 3)
        assert set(here.server.listeners) == {NODE}


async def test_nodes_that_the_settings_name_are_not_asked_about(tmp_path: Path) -> None:
    async with world(tmp_path, node_names=(NODE,), **CHECK) as here:
        control = here.peers.control
        control.ended.add(NODE)
        for _ in range(5):
            control.announced.clear()
            await eventually(lambda: NODE in control.announced)
        assert control.checked == []
        assert set(here.server.listeners) == {NODE}
