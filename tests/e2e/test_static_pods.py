"""A folder of manifests beside a cluster: its pods run on their own, and mirrors tell of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.anatomy import Anatomy, Part
from e2e.api import Api
from e2e.expectations import eventually
from e2e.obedient import obedient
from e2e.processes import Process
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

ONE, OTHER = "static-1", "static-2"
PODS = "/api/v1/namespaces/default/pods"
MIRROR = "kubernetes.io/config.mirror"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: a test takes the API server away."""
    with ControlPlane(tmp_path_factory.mktemp("static plane")) as plane:
        plane.deploy()
        yield plane


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Iterator[Api]:
    with Api(plane) as api:
        yield api


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "obedient.wasm").write_bytes(obedient())
    return folder


@pytest.fixture(scope="module")
def wasmlet(
    plane: ControlPlane, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningWasmlet]:
    options = ["--manifests", str(shared_folder)]
    options += ["--set", "pod-reconciler:MANIFESTS_INTERVAL_S=0.2"]
    options += ["--set", "wasm-executor:BEAT_INTERVAL_S=1"]
    home = tmp_path_factory.mktemp("static") / "up"
    wasmlet = RunningWasmlet(plane, home, node_name="static", nodes=2, options=options)
    wasmlet.start()
    yield wasmlet
    wasmlet.stop()


@pytest.fixture
def folder(api: Api, wasmlet: RunningWasmlet, shared_folder: Path) -> Iterator[Path]:
    """The folder of a wasmlet that runs; what a test leaves there goes away after it."""
    yield shared_folder
    for manifest in shared_folder.glob("*.yaml"):
        manifest.unlink()
    containers = Anatomy(wasmlet).containers
    eventually(lambda: not containers() and not api.get(PODS)["items"])


def write(folder: Path, name: str, *args: str, **spec: Any) -> Path:
    """A manifest that runs on the first node, if nothing else is said."""
    container = {"name": "main", "image": "file:obedient.wasm", "args": list(args)}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": ONE, "containers": [container], **spec},
    }
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(manifest))
    return file


def pod(api: Api, name: str) -> dict[str, Any]:
    found = api.find(f"{PODS}/{name}")
    assert found is not None, f"there is no {name}"
    return found


def ready(api: Api, name: str) -> dict[str, Any]:
    """The mirror, once it shows a pod that is ready."""
    found = pod(api, name)
    conditions = {each["type"]: each for each in found["status"].get("conditions", [])}
    assert conditions.get("Ready", {}).get("status") == "True", f"{name}: {found['status']}"
    return found


def ready_since(mirror: dict[str, Any]) -> str:
    (since,) = (
        each["lastTransitionTime"]
        for each in mirror["status"]["conditions"]
        if each["type"] == "Ready"
    )
    return str(since)


def is_described(plane: ControlPlane, name: str) -> bool:
    """Whether `kubectl describe` finds the Events, which name the static pod's UID."""
    _, _, events = plane.kubectl("describe", "pod", name).stdout.partition("Events:")
    return "Container started" in events


def processes(wasmlet: RunningWasmlet) -> frozenset[Process]:
    return Anatomy(wasmlet).containers()


def test_a_static_pod_is_seen_on_each_node_as_any_other_pod(
    plane: ControlPlane, api: Api, folder: Path
) -> None:
    file = write(folder, "seen", "sleep")
    file.write_text(file.read_text().replace(f'"nodeName": "{ONE}", ', ""))
    for node in (ONE, OTHER):
        name = f"seen-{node}"
        mirror = eventually(lambda name=name: ready(api, name))  # type: ignore[misc]  # bound now
        shown = plane.kubectl("get", "pods", name, "--no-headers").stdout.split()
        assert shown[:3] == [name, "1/1", "Running"]
        assert plane.kubectl("logs", name).stdout == "sleep\n"
        eventually(lambda name=name: is_described(plane, name))  # type: ignore[misc]  # bound now
        assert mirror["spec"]["nodeName"] == node
        (owner,) = mirror["metadata"]["ownerReferences"]
        assert owner["uid"] == api.get(f"/api/v1/nodes/{node}")["metadata"]["uid"]


def test_the_kubelet_api_shows_the_static_pod_and_not_its_mirror(api: Api, folder: Path) -> None:
    write(folder, "listed", "sleep")
    mirror = eventually(lambda: ready(api, f"listed-{ONE}"))
    (listed,) = api.get(f"/api/v1/nodes/{ONE}/proxy/pods")["items"]
    uid, annotations = listed["metadata"]["uid"], listed["metadata"]["annotations"]
    assert uid != mirror["metadata"]["uid"]
    assert annotations["kubernetes.io/config.hash"] == uid
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.seen"]
    assert MIRROR not in annotations
    assert mirror["metadata"]["annotations"] == {**annotations, MIRROR: uid}
    assert listed["status"]["phase"] == "Running"


def test_a_mirror_that_is_deleted_comes_back_and_the_process_never_notices(
    plane: ControlPlane, api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "kept", "sleep")
    name = f"kept-{ONE}"
    eventually(lambda: ready(api, name))
    before = processes(wasmlet)
    assert before
    for how in ((), ("--grace-period=0", "--force")):
        old = pod(api, name)["metadata"]["uid"]
        plane.kubectl("delete", "pod", name, "--wait=false", *how)
        eventually(lambda old=old: ready(api, name)["metadata"]["uid"] != old)  # type: ignore[misc]  # bound now
    assert pod(api, name)["status"]["containerStatuses"][0]["restartCount"] == 0
    assert processes(wasmlet) == before
    assert plane.kubectl("logs", name).stdout == "sleep\n"


def test_a_manifest_that_changes_is_a_new_pod_and_one_that_goes_is_none(
    plane: ControlPlane, api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    file = write(folder, "changed", "sleep")
    name = f"changed-{ONE}"
    first = eventually(lambda: ready(api, name))
    write(folder, "changed", "swim")

    def second() -> bool:
        return bool(ready(api, name)["metadata"]["uid"] != first["metadata"]["uid"])

    eventually(second)
    assert plane.kubectl("logs", name).stdout == "swim\n"
    annotations = pod(api, name)["metadata"]["annotations"]
    assert annotations[MIRROR] != first["metadata"]["annotations"][MIRROR]
    file.unlink()
    eventually(lambda: api.find(f"{PODS}/{name}") is None)
    assert not processes(wasmlet)
    write(folder, "changed", "swim")
    eventually(lambda: ready(api, name))


def test_a_reconciler_that_starts_anew_changes_nothing(
    api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "steady", "sleep")
    name = f"steady-{ONE}"
    before, running = eventually(lambda: ready(api, name)), processes(wasmlet)
    anatomy = Anatomy(wasmlet)
    anatomy.await_successor(Part.RECONCILER, anatomy.kill(Part.RECONCILER))
    # Another pod's way through shows that this one has looked at everything.
    write(folder, "next", "sleep")
    eventually(lambda: ready(api, f"next-{ONE}"))
    after = ready(api, name)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert ready_since(after) == ready_since(before)
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert running <= processes(wasmlet)


def test_what_says_that_it_is_a_mirror_is_not_run(
    api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "true", "sleep")
    eventually(lambda: ready(api, f"true-{ONE}"))
    before = processes(wasmlet)
    container = {"name": "main", "image": "file:obedient.wasm", "args": ["sleep"]}
    metadata = {"name": "forged", "annotations": {MIRROR: "x"}}
    spec = {"nodeName": ONE, "containers": [container]}
    forged = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    api.create(PODS, forged)
    eventually(lambda: api.find(f"{PODS}/forged") is None)
    assert processes(wasmlet) == before


def test_a_pod_that_needs_the_api_is_no_static_pod(
    api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "needy", "sleep", serviceAccountName="default")
    write(folder, "content", "sleep")
    eventually(lambda: ready(api, f"content-{ONE}"))
    assert "static pods may not reference serviceaccounts" in wasmlet.output()
    assert api.find(f"{PODS}/needy-{ONE}") is None


def test_a_pod_that_ends_is_shown_as_ended(api: Api, folder: Path) -> None:
    write(folder, "ends", "exit3", restartPolicy="Never")

    def ended() -> bool:
        return bool(pod(api, f"ends-{ONE}")["status"]["phase"] == "Failed")

    eventually(ended)
    (status,) = pod(api, f"ends-{ONE}")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 3


def test_a_static_pod_that_was_drained_begins_again_with_its_node(
    api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "drained", "sleep")
    name = f"drained-{ONE}"
    eventually(lambda: ready(api, name))
    command = [sys.executable, "-m", "wasmlet", "node", "drain", "--node", ONE]
    command += ["--data-dir", str(wasmlet.data_dir)]
    subprocess.run(command, check=True, capture_output=True)

    def over() -> bool:
        return bool(pod(api, name)["status"].get("reason") == "Terminated")

    eventually(over)
    Anatomy(wasmlet).kill(Part.KEEPER, ONE)
    eventually(lambda: ready(api, name), 60)


def test_a_static_pod_outlives_its_node_object_and_its_mirror_follows_the_new_one(
    plane: ControlPlane, api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "outlives", "sleep")
    name = f"outlives-{ONE}"
    old = eventually(lambda: ready(api, name))["metadata"]["ownerReferences"][0]["uid"]
    before = processes(wasmlet)
    plane.kubectl("delete", "node", ONE)

    def follows() -> bool:
        (owner,) = ready(api, name)["metadata"]["ownerReferences"]
        new = api.get(f"/api/v1/nodes/{ONE}")["metadata"]["uid"]
        return bool(owner["uid"] == new != old)

    eventually(follows, 50)
    assert processes(wasmlet) == before


def test_a_static_pod_starts_while_the_api_server_is_away(
    plane: ControlPlane, api: Api, wasmlet: RunningWasmlet, folder: Path
) -> None:
    write(folder, "before", "sleep")
    eventually(lambda: ready(api, f"before-{ONE}"))
    before = processes(wasmlet)
    plane.api_server.kill()
    try:
        write(folder, "meanwhile", "sleep")
        eventually(lambda: processes(wasmlet) > before)
    finally:
        plane.api_server.start()
        plane.api_server.wait_ready()
    started = processes(wasmlet)
    eventually(lambda: ready(api, f"meanwhile-{ONE}"))
    assert processes(wasmlet) == started
    assert plane.kubectl("logs", f"meanwhile-{ONE}").stdout == "sleep\n"
