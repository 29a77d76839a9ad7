"""Who has a place on a Node with room for two, when it or its reconciler was away.

A pod is judged once: one that runs keeps its place and its room, and the rest goes by age.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Part
from e2e.expectations import eventually
from e2e.faults import Scene, scene
from e2e.images import Images
from e2e.pods import pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

NODE = "narrow"
FULL = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"
YOUNGER = ("aa", "ab", "ac")

type Create = Callable[..., None]


@pytest.fixture(scope="module")
def started(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A node with room for two pods."""
    options = ["--insecure-registry", images.registry.host]
    options += ["--set", "wasm-executor:MAX_PODS=2"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as found:
        yield found


@pytest.fixture
def narrow(started: Scene) -> Iterator[Scene]:
    """That node, empty."""
    yield started
    started.pods.remove_all()
    eventually(lambda: not started.pods.all())
    eventually(lambda: not started.anatomy.containers())


@pytest.fixture
def create(narrow: Scene) -> Create:
    image = narrow.images.push(guests.counts(50), "keeps-its-place")

    def make(name: str, **spec: Any) -> None:
        manifest = pod(name, image)
        manifest["spec"] |= {"nodeName": NODE, **spec}
        narrow.pods.create(manifest)

    return make


def test_a_pod_that_runs_is_not_judged_again_by_a_new_reconciler(
    narrow: Scene, create: Create
) -> None:
    pods = narrow.pods

    def is_rejected(name: str) -> None:
        status = pods.await_phase(name, "Failed")["status"]
        assert (status["reason"], status["message"]) == ("OutOfpods", f"Pod was rejected: {FULL}")
        eventually(lambda: ("OutOfpods", FULL) in pods.events(name))

    narrow.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"tier": "gold"}}})
    create("first", nodeSelector={"tier": "gold"})
    create("beside")
    for name in ("first", "beside"):
        pods.await_phase(name, "Running")
    before = pods.container("first")
    create("second")
    is_rejected("second")

    narrow.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"tier": None}}})
    victim = narrow.anatomy.kill(Part.RECONCILER)
    narrow.anatomy.await_successor(Part.RECONCILER, victim)
    create("third")
    is_rejected("third")
    assert pods.container("first") == before
    assert pods.get("first")["status"]["phase"] == "Running"
    assert pods.get("second")["status"]["reason"] == "OutOfpods"


def test_a_node_that_was_away_takes_no_more_than_it_has_room_for_and_the_oldest_first(
    narrow: Scene, create: Create
) -> None:
    pods = narrow.pods
    create("zz-runs")
    pods.await_phase("zz-runs", "Running")
    narrow.wasmlet.stop()
    create("zy-oldest")
    second = int(time.time())
    eventually(lambda: int(time.time()) > second)  # what the API tells times by
    for name in YOUNGER:
        create(name)
    narrow.wasmlet.start()
    for name in YOUNGER:
        assert pods.await_phase(name, "Failed")["status"]["reason"] == "OutOfpods"
    pods.await_phase("zy-oldest", "Running")
    assert pods.get("zz-runs")["status"]["phase"] == "Running"
