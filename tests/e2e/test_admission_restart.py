"""A pod is judged once: one that runs keeps its place and its room, whatever becomes of both."""

from collections.abc import Iterator
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
FULL = "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1"


@pytest.fixture(scope="module")
def narrow(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A node with room for one pod."""
    options = ["--insecure-registry", images.registry.host]
    options += ["--set", "wasm-executor:MAX_PODS=1"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as found:
        yield found


def test_a_pod_that_runs_is_not_judged_again_by_a_new_reconciler(narrow: Scene) -> None:
    pods = narrow.pods
    image = narrow.images.push(guests.counts(50), "keeps-its-place")

    def create(name: str, **spec: Any) -> None:
        manifest = pod(name, image)
        manifest["spec"] |= {"nodeName": NODE, **spec}
        pods.create(manifest)

    def is_rejected(name: str) -> None:
        status = pods.await_phase(name, "Failed")["status"]
        assert (status["reason"], status["message"]) == ("OutOfpods", f"Pod was rejected: {FULL}")
        eventually(lambda: ("OutOfpods", FULL) in pods.events(name))

    narrow.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"tier": "gold"}}})
    create("first", nodeSelector={"tier": "gold"})
    pods.await_phase("first", "Running")
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
