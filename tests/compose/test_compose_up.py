"""compose.yaml for real: images are built, one command makes a cluster, and it goes without trace.

The tests go in the order of a user's day.
"""

import json
import shutil
import urllib.request
from typing import Any

import pytest
from composetests.engine import Engine
from composetests.images import BASE
from composetests.up import PROJECT, USER, Up
from e2e.expectations import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

INCARNATION = "wasmlet.dev/incarnation"
JOBS = ("files", "objects", "modules")
LOOK_INSIDE = """
import os, pathlib, sys
assert os.getuid() == os.getgid() == 65532, os.getuid()
for name in ("/x", "/opt/wasmlet/x", "/var/x", "/etc/x"):
    try:
        open(name, "w")
    except OSError:
        continue
    sys.exit(f"{name} can be written")
left = [name for name in ("/opt/uv", "/source", "/root/.cache") if os.path.exists(name)]
assert not left, left
sources = pathlib.Path("/opt/wasmlet/lib/python3.13/site-packages").glob("*/__init__.py")
packages = {each.parent.name for each in sources}
services = packages & {"node_registrar", "pod_reconciler", "log_server", "wasm_executor"}
assert len(services) == 1, services
assert not packages & {"pytest", "ruff", "pip", "uv", "kubernetes"}, packages
"""


def node_names(up: Up) -> dict[str, dict[str, Any]]:
    """The Nodes that are Ready."""
    return {
        node["metadata"]["name"]: node["metadata"]["annotations"]
        for node in up.objects("nodes")
        if any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in node["status"]["conditions"]
        )
    }


def test_images_are_small_and_run_as_nobody_who_can_write(engine: Engine, images: str) -> None:
    base = int(engine.docker("image", "inspect", "--format={{.Size}}", BASE))
    for name in ("node-registrar", "pod-reconciler", "wasm-executor", "log-server"):
        image = f"wasmlet/{name}:dev"
        assert image in images
        size = int(engine.docker("image", "inspect", "--format={{.Size}}", image))
        assert size - base < 100_000_000, f"{image}: {size - base} above its base"
        python = "--entrypoint=/opt/wasmlet/bin/python"
        engine.docker("run", "--rm", "--network=none", python, image, "-c", LOOK_INSIDE)


def test_one_command_makes_a_cluster_that_runs_the_example(up: Up) -> None:
    up.compose("--profile", "observability", "config", "--quiet")
    up.up()
    assert set(eventually(lambda: node_names(up), 60)) == {"wasm-1"}
    for path in (up.kubeconfig, up.kubeconfig.parent, up.folder / ".dev"):
        assert path.stat().st_uid == USER
    assert up.kubeconfig.stat().st_mode & 0o077 == 0
    first = "print(open('/proc/1/comm').read(), end='')"
    ask = ("exec", f"{PROJECT}-wasm-executor-1", "/opt/wasmlet/bin/python", "-c", first)
    assert up.engine.docker(*ask) == "wasmlet-keeper\n"
    up.kubectl("apply", "-f", "compose/example.yaml")
    up.kubectl("wait", "pod/hello", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    assert up.kubectl("logs", "hello") == "Hello from WebAssembly, run by wasmlet\n"
    up.kubectl("wait", "pod/counter", "--for=condition=Ready", "--timeout=60s")


def test_a_second_up_touches_nothing(up: Up) -> None:
    before = up.containers()
    up.up()
    # Jobs run again and change nothing; what runs goes on.
    assert up.containers() == before
    (counter,) = [pod for pod in up.objects("pods") if pod["metadata"]["name"] == "counter"]
    assert counter["status"]["containerStatuses"][0]["restartCount"] == 0


def test_three_executors_are_three_nodes_whose_names_stay(up: Up) -> None:
    up.up("--scale", "wasm-executor=3")
    eventually(lambda: set(node_names(up)) == {"wasm-1", "wasm-2", "wasm-3"}, 60)
    for name in node_names(up):
        assert up.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/healthz") == "ok"
    before = {name: notes[INCARNATION] for name, notes in node_names(up).items()}
    # As after a change of the code: each container is replaced by one of the same number, which has
    # the same data and so takes the name over at once.
    up.up("--scale", "wasm-executor=3", "--force-recreate", "--no-deps", "wasm-executor")
    after = {name: _next_start(incarnation) for name, incarnation in before.items()}

    def incarnations() -> dict[str, str]:
        return {name: notes[INCARNATION] for name, notes in node_names(up).items()}

    eventually(lambda: incarnations() == after, 60)


def _next_start(incarnation: str) -> str:
    identity, _, starts = incarnation.partition("/")
    return f"{identity}/{int(starts) + 1}"


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus (Debian's) here")
def test_prometheus_hears_each_container_of_each_service(up: Up) -> None:
    up.up("prometheus")

    def scraped() -> list[str]:
        url = f"http://127.0.0.1:{up.prometheus_port}/api/v1/query?query=up"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return sorted(
            each["metric"]["job"].partition("/")[2] for each in found if each["value"][1] == "1"
        )

    # Three executors and the log-server are the Nodes' part.
    expected = ["node-registrar", "pod-reconciler", *["wasm-node"] * 4]
    eventually(lambda: scraped() == expected, 60)


def test_down_keeps_the_cluster_for_the_next_up(up: Up) -> None:
    before = {node["metadata"]["name"]: node["metadata"]["uid"] for node in up.objects("nodes")}
    up.compose("--profile", "observability", "down")
    assert up.containers() == {}
    up.up("--scale", "wasm-executor=3")
    eventually(lambda: node_names(up).keys() == before.keys(), 60)
    assert {
        node["metadata"]["name"]: node["metadata"]["uid"] for node in up.objects("nodes")
    } == before
    # The pod goes on where it was: its module is on that Node's disk, whoever runs there now.
    up.kubectl("wait", "pod/counter", "--for=condition=Ready", "--timeout=60s")
    assert up.kubectl("logs", "counter", "--tail=1").strip().isdecimal()


def test_down_leaves_nothing(up: Up) -> None:
    up.compose("--profile", "observability", "down", "--volumes")
    mine = f"--filter=label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert up.engine.docker(*kind, "--quiet", mine) == ""
