"""Everything beside the executor is killed or replaced in turn, under load, and no pod notices.

200 pods run and 5 start each second. Two registrars, two reconcilers, three NATS servers. What is
measured is for how long no status came; it is printed, and docs/benchmarks.md has it.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from e2e import guests
from e2e.anatomy import Part
from e2e.byhand import LEADING, ByHand, standby
from e2e.counting import assert_consecutive
from e2e.expectations import eventually
from e2e.faults import SHORT, Scene, await_renewal, ready_since, scene
from e2e.images import Images
from e2e.nats_cluster import nats_cluster, urls
from e2e.pod_stream import PodStream
from e2e.pods import pod
from e2e.running_wasmlet import RunningWasmlet

from contract.subjects import Role
from controlplane import ControlPlane
from embedded_nats import EmbeddedNats

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NODE = "rolling"
RUNNING = 200
STEADY_S = 6.0
ELECTION = [
    option
    for service in ("node-registrar", "pod-reconciler")
    for option in ("--set", f"{service}:ELECTION=on")
]


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[EmbeddedNats]]:
    with nats_cluster(tmp_path_factory.mktemp("servers"), [NODE]) as servers:
        yield servers


@pytest.fixture
def rolling(
    control_plane: ControlPlane, images: Images, servers: list[EmbeddedNats], tmp_path: Path
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT, *ELECTION]
    options += ["--set", "wasm-executor:MAX_PODS=2000"]
    passwords = servers[0].password_file(Role.NODE_REGISTRAR).parent
    options += ["--nats", urls(servers), "--nats-passwords", str(passwords)]
    wasmlet = RunningWasmlet(control_plane, tmp_path / "up", node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as rolling:
        yield rolling


def test_a_roll_of_everything_under_load_is_noticed_by_no_pod(
    rolling: Scene, servers: list[EmbeddedNats], tmp_path: Path
) -> None:
    names = start_many(rolling)
    containers = rolling.anatomy.await_count(RUNNING)
    since, blows = ready_since(rolling.api, NODE), dict[str, float]()
    hello = rolling.images.push(guests.prints("hello\n"), "rolling-hello")
    flow = PodStream(rolling.plane, rolling.pods.namespace, NODE, hello)
    with standbys(rolling, tmp_path) as seconds, flow as stream:
        eventually(lambda: len(stream.ended) > 20)

        def strike(what: str, blow: Callable[[], object]) -> None:
            time.sleep(STEADY_S)  # no wait: each blow falls upon a steady stream
            blows[what] = time.monotonic()
            blow()
            stream.await_flow(blows[what])

        for part, second in seconds.items():
            victim = rolling.anatomy.get(part)
            strike(f"{part} killed", victim.kill)
            eventually(lambda: second.records(LEADING[part]), within_s=60)  # noqa: B023 - asked at once
            rolling.anatomy.await_successor(part, victim)
            strike(f"{part} replaced", second.stop)
        victim = rolling.anatomy.get(Part.LOG_SERVER)
        strike("log_server killed", victim.kill)
        rolling.anatomy.await_successor(Part.LOG_SERVER, victim)
        for number, server in enumerate(servers):
            strike(f"nats-server {number} killed", server.kill)
            server.start()
        stream.stop_creating()
        stream.await_all_ended(within_s=120)
        assert stream.failed == []
        report(blows | {"": time.monotonic()}, stream)
    assert containers <= rolling.anatomy.containers()
    assert_untouched(rolling, names)
    assert ready_since(rolling.api, NODE) == since
    await_renewal(rolling.api, NODE)
    namespace = f"--namespace={rolling.pods.namespace}"
    rolling.plane.kubectl("delete", "pods", "--all", "--now", "--timeout=180s", namespace)


def start_many(rolling: Scene) -> list[str]:
    image = rolling.images.push(guests.counts(1000), "rolling-counts")
    names = [f"steady-{number}" for number in range(RUNNING)]
    for name in names:
        manifest = pod(name, image)
        manifest["spec"]["nodeName"] = NODE
        manifest["metadata"]["labels"] = {"app": "steady"}
        rolling.pods.create(manifest)
    eventually(lambda: len(steady(rolling, "Running")) == RUNNING, within_s=180)
    return names


@contextmanager
def standbys(rolling: Scene, folder: Path) -> Iterator[dict[Part, ByHand]]:
    """A second replica of each service that has a leader."""
    with ExitStack() as stack:
        yield {
            part: stack.enter_context(standby(rolling.anatomy.get(part), part, folder / part.value))
            for part in LEADING
        }


def steady(rolling: Scene, phase: str) -> list[str]:
    found = rolling.pods.all(labelSelector="app=steady")
    return [each["metadata"]["name"] for each in found if each["status"].get("phase") == phase]


def assert_untouched(rolling: Scene, names: list[str]) -> None:
    for found in rolling.pods.all(labelSelector="app=steady"):
        (status,) = found["status"]["containerStatuses"]
        assert status["restartCount"] == 0, status
        assert status["ready"], status
    for name in names[:: RUNNING // 10]:
        text = rolling.pods.logs(name)
        assert_consecutive([int(line.split()[-1]) for line in text.splitlines()], name)


def report(blows: dict[str, float], stream: PodStream) -> None:
    """Print the figures: they are what this test is run for."""
    latencies = stream.latencies()
    lines = [f"pods that came meanwhile: {len(latencies)}"]
    for share in (0.5, 0.99, 1.0):
        at = min(int(share * len(latencies)), len(latencies) - 1)
        lines.append(f"created to ended, p{share * 100:g}: {latencies[at]:.2f} s")
    for (what, start), (_, end) in pairwise(blows.items()):
        lines.append(f"{what}: no status for {stream.gap(start, end):.2f} s")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
