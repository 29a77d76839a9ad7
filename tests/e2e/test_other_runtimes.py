"""CGI handlers and a runtime program of the machine, chosen by RuntimeClass on a real cluster."""

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime
import yaml
from e2e.api import Api
from e2e.expectations import eventually
from e2e.handling import free_port, served
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined

from controlplane import ControlPlane, Registry

NODE = "runtimes"
ROOT = Path(__file__).parents[2]
EXECUTOR_TESTS = ROOT / "services" / "wasm-executor" / "tests"
SCRIPT = EXECUTOR_TESTS / "runtimes" / "run-wasi.mjs"
CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
PROGRAM = f"""
program = "node"
command = ["--no-warnings", "{SCRIPT}", "${{MODULE}}", "${{MOUNTS}}", "--", "${{ARGS}}"]
mount = ["${{HOST}}::${{GUEST}}"]
reads = ["{SCRIPT}", "/etc/ssl"]
"""

pytestmark = pytest.mark.usefixtures("node")


@pytest.fixture(scope="module")
def program_class(api: Api) -> Iterator[str]:
    """A user's, for the machine's program; that for `wagi` ships."""
    [shipped] = [
        each
        for each in yaml.safe_load_all((ROOT / "deploy" / "runtimeclass.yaml").read_text())
        if each["handler"] == "wagi"
    ]
    name = "node-wasi"
    api.create(CLASSES, shipped | {"metadata": {"name": name}, "handler": name})
    yield name
    api.delete(f"{CLASSES}/{name}")


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    folder = tmp_path_factory.mktemp("runtimes-node")
    files = folder / "files"
    files.mkdir()
    (files / "node-wasi.toml").write_text(PROGRAM)
    (files / "broken.toml").write_text("program = [")
    settings = {"wasm-executor:EXTERNAL_RUNTIMES_DIR": files}
    hosts = [registry.host]
    with joined(
        control_plane, api, folder / "up", node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


def guest(name: str) -> bytes:
    text = (EXECUTOR_TESTS / "support" / "guests" / f"{name}.wat").read_text()
    return bytes(wasmtime.wat2wasm(text))


def here(manifest: dict[str, Any], runtime_class: str) -> dict[str, Any]:
    manifest["spec"] |= {"nodeName": NODE, "runtimeClassName": runtime_class}
    return manifest


def test_a_cgi_module_is_served_by_its_routes(pods: Pods, images: Images) -> None:
    port = free_port()
    manifest = here(served("cgi", images.push(guest("cgi"), "cgi"), port), "wasmtime-wagi")
    manifest["metadata"]["annotations"] = {
        "wasmlet.dev/wagi-modules": '{"main": [{"route": "/hello"}, '
        '{"route": "/gone/...", "entrypoint": "status"}]}'
    }
    manifest["spec"]["containers"][0]["env"] = [{"name": "OWN", "value": "variable"}]
    pods.create(manifest)
    status = eventually(lambda: _ready(pods.get("cgi")))
    connection = http.client.HTTPConnection(status["podIP"], port, timeout=20)
    answers = {}
    for path in ("/hello?a=b", "/gone/away", "/other"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answers[path] = (answer.status, answer.read().decode())
    connection.close()
    assert answers["/hello?a=b"][0] == 200
    assert {"a=b", "OWN=variable", "SCRIPT_NAME=/hello"} <= set(answers["/hello?a=b"][1].split())
    assert answers["/gone/away"] == (404, "not here\n")
    assert answers["/other"] == (404, "Not Found\n")


def _ready(found: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = found["status"]
    assert "containerStatuses" in status
    assert all(each["ready"] for each in status["containerStatuses"])
    return status


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js on this machine")
def test_a_program_of_the_machine_runs_a_pod_that_asks_for_it(
    pods: Pods, images: Images, api: Api, program_class: str
) -> None:
    handlers = api.get(f"/api/v1/nodes/{NODE}")["status"]["runtimeHandlers"]
    names = {each["name"] for each in handlers}
    assert {"node-wasi", "wagi", "wasi", "wasi-http"} <= names
    assert not {"external", "broken"} & names
    image = images.push(guest("environ"), "environ-elsewhere")
    manifest = here(pod("program", image), program_class)
    manifest["spec"]["containers"][0]["env"] = [{"name": "OWN", "value": "variable"}]
    pods.create(manifest)
    pods.await_phase("program", "Succeeded")
    assert "OWN=variable" in pods.logs("program")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js on this machine")
def test_a_variable_that_is_the_programs_own_is_told(
    pods: Pods, images: Images, program_class: str
) -> None:
    image = images.push(guest("hello"), "hello-elsewhere")
    manifest = here(pod("variable", image), program_class)
    manifest["spec"]["containers"][0]["env"] = [{"name": "LD_PRELOAD", "value": "/x.so"}]
    pods.create(manifest)
    failed = pods.await_phase("variable", "Failed")
    state = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], "LD_PRELOAD" in state["message"]) == ("StartError", True)
