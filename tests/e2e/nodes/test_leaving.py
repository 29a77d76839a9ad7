"""The end of an installation: its Nodes go when their pods are gone, and stay away."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from e2e.api import Api
from registrar_peers import Executor, eventually, life
from registrar_process import Registrar
from registrar_scene import COMPANION, NODE, Scene

from contract.errors import CommandError
from controlplane import ControlPlane
from servicekit.errors import BusUnavailableError

PREFIX = "node-"
HOST = NODE.removeprefix(PREFIX)
NODES = "/api/v1/nodes"
MARK = "wasmlet.dev/leaving"
INSTALLATION = "wasmlet-system/wasmlet-installation"
CONFIG_MAPS = "/api/v1/namespaces/wasmlet-system/configmaps"
CONFIG_MAP = f"{CONFIG_MAPS}/wasmlet-installation"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def installation(api: Api) -> Iterator[str]:
    api.create(CONFIG_MAPS, {"metadata": {"name": "wasmlet-installation"}})
    yield INSTALLATION
    api.delete(CONFIG_MAP)


@pytest.fixture
def host(api: Api) -> Iterator[dict[str, Any]]:
    yield api.create(NODES, {"metadata": {"name": HOST}})
    api.delete(f"{NODES}/{HOST}")


def leaving(plane: ControlPlane, drain_s: float) -> subprocess.Popen[str]:
    settings = {
        "WASMLET_KUBECONFIG": str(plane.admin_kubeconfig),
        "WASMLET_INSTALLATION": INSTALLATION,
        "WASMLET_HOST_PREFIX": PREFIX,
        "WASMLET_DRAIN_S": str(drain_s),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "node_registrar.app.leaving"],
        env={"PATH": os.environ["PATH"]} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def leave(plane: ControlPlane, drain_s: float) -> tuple[int, str]:
    """The exit code, and all that was said."""
    with leaving(plane, drain_s) as process:
        said, _ = process.communicate()
    return process.returncode, said


def is_marked(api: Api) -> bool:
    return MARK in api.get(CONFIG_MAP)["metadata"].get("annotations", {})


async def said(registrar: Registrar) -> None:
    """Returns when this registrar has said that it does not create the Node."""

    async def ask() -> bool:
        lines = registrar.records("node.uncreated") + registrar.records("grant.unrecorded")
        return any("is being removed" in line["reason"] for line in lines)

    await eventually(ask)


async def test_a_node_that_was_taken_away_stays_away_whoever_leads(
    scene: Scene, control_plane: ControlPlane, host: dict[str, Any], installation: str
) -> None:
    assert host
    await scene.ready(host_prefix=PREFIX, installation=installation)
    code, output = await asyncio.to_thread(leave, control_plane, 30)
    assert code == 0, output
    assert is_marked(scene.api)
    await said(scene.registrars[0])
    scene.kill_registrars()
    later = scene.registrar(host_prefix=PREFIX, installation=installation)
    scene.speaking.append(scene.tasks.create_task(_register_for_ever(scene)))
    await said(later)
    assert scene.api.find(scene.path) is None


async def _register_for_ever(scene: Scene) -> None:
    """As an executor that lives does; what it is told is for the test to see in the log."""
    executor = scene.life()
    while True:
        with suppress(CommandError, BusUnavailableError):
            await executor.ask()
        await asyncio.sleep(0.2)


@pytest.fixture
def staying(api: Api) -> Iterator[str]:
    """A pod that nobody ends."""
    spec = {
        "nodeName": NODE,
        "containers": [{"name": "main", "image": "none"}],
        "tolerations": [{"operator": "Exists"}],
    }
    api.create(PODS, {"metadata": {"name": "stays"}, "spec": spec})
    yield "default/stays"
    api.delete(f"{PODS}/stays", gracePeriodSeconds=0)


async def test_pods_that_do_not_go_keep_their_node_which_stays_cordoned(
    scene: Scene, control_plane: ControlPlane, host: dict[str, Any], installation: str, staying: str
) -> None:
    assert host
    await scene.ready(host_prefix=PREFIX, installation=installation)
    code, output = await asyncio.to_thread(leave, control_plane, 2)
    assert code == 1
    assert f"1 pods did not go: {staying}; nothing was deleted" in output
    assert not is_marked(scene.api)
    assert scene.api.get(scene.path)["spec"]["unschedulable"] is True


async def test_an_uninstall_that_is_stopped_lets_nodes_be_created_again(
    scene: Scene, control_plane: ControlPlane, host: dict[str, Any], installation: str, staying: str
) -> None:
    assert host
    assert staying
    await scene.ready(host_prefix=PREFIX, installation=installation)
    another = Executor(scene.companion_bus, COMPANION, life("another"))
    with leaving(control_plane, 600) as process:
        try:
            await eventually(lambda: asyncio.to_thread(is_marked, scene.api))
            with pytest.raises(CommandError, match="is being removed"):
                await another.ask()
        finally:
            process.terminate()
            output, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == 1, output
    assert not is_marked(scene.api)
    await another.granted()
    assert scene.api.find(f"{NODES}/{COMPANION}") is not None


async def test_an_api_server_that_is_away_for_a_while_does_not_end_it(
    scene: Scene, control_plane: ControlPlane, host: dict[str, Any], installation: str, staying: str
) -> None:
    assert host
    assert staying
    await scene.ready(host_prefix=PREFIX, installation=installation)
    with leaving(control_plane, 600) as process:
        try:
            await asyncio.to_thread(heard, process, "pod.evicted")
            control_plane.api_server.kill()
            try:
                await asyncio.to_thread(heard, process, "api_server.away")
            finally:
                control_plane.api_server.start()
                await asyncio.to_thread(control_plane.api_server.wait_ready)
            scene.api.delete(f"{PODS}/stays", gracePeriodSeconds=0)
            rest, _ = await asyncio.to_thread(process.communicate)
        finally:
            process.kill()
    assert process.returncode == 0, rest
    assert "node.deleted" in rest
    assert is_marked(scene.api)
    assert scene.api.find(scene.path) is None


def heard(process: subprocess.Popen[str], event: str) -> None:
    """Return when it has said so; it ends with its process, if not."""
    assert process.stdout
    assert any(event in line for line in process.stdout), event


async def test_a_node_that_stands_alone_is_left(
    scene: Scene, control_plane: ControlPlane, installation: str
) -> None:
    assert installation
    await scene.ready()
    code, output = await asyncio.to_thread(leave, control_plane, 10)
    assert code == 0, output
    assert "unschedulable" not in scene.api.get(scene.path)["spec"]
