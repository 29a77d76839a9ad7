"""Pods that came while their node was away: what runs keeps its room, the rest goes by age."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.faults import Scene, scene
from e2e.images import Images
from e2e.pods import pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

NODE = "crowded"
YOUNGER = ("aa", "ab", "ac")


@pytest.fixture(scope="module")
def crowded(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A node with room for two pods."""
    options = ["--insecure-registry", images.registry.host]
    options += ["--set", "wasm-executor:MAX_PODS=2"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as found:
        yield found


def test_a_node_that_was_away_takes_no_more_than_it_has_room_for_and_the_oldest_first(
    crowded: Scene,
) -> None:
    pods = crowded.pods
    image = crowded.images.push(guests.counts(50), "waits-its-turn")

    def create(name: str) -> dict[str, Any]:
        manifest = pod(name, image)
        manifest["spec"] |= {"nodeName": NODE}
        return pods.create(manifest)

    create("zz-runs")
    pods.await_phase("zz-runs", "Running")
    crowded.wasmlet.stop()
    create("zy-oldest")
    second = int(time.time())
    eventually(lambda: int(time.time()) > second)  # what the API tells times by
    for name in YOUNGER:
        create(name)
    crowded.wasmlet.start()
    for name in YOUNGER:
        assert pods.await_phase(name, "Failed")["status"]["reason"] == "OutOfpods"
    pods.await_phase("zy-oldest", "Running")
    assert pods.get("zz-runs")["status"]["phase"] == "Running"
