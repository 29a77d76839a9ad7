"""A machine restarts, an executor is rolled, a pod is deleted while nobody looks after it.

Everything that the executor had in memory and on tmpfs is lost with the machine. Its disk says
what is finished; the API server says what is to run.
"""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part, guests_of
from e2e.counting import ALWAYS, NEVER, ON_FAILURE, CountingPods
from e2e.expectations import eventually, steadily
from e2e.faults import SHORT, Scene, await_renewal, scene
from e2e.history import History
from e2e.images import Images
from e2e.obedient import NAME, does, obedient, part
from e2e.pods import pod
from e2e.processes import Process, frozen
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

NODE = "restarts"
PODS = 6
GRACE_S = 4


@pytest.fixture(scope="module")
def module_scene(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as found:
        yield found


@pytest.fixture
def restarts(module_scene: Scene) -> Iterator[Scene]:
    """The scene as it is now: `wasmlet up` may be another process than before."""
    yield module_scene._replace(anatomy=Anatomy(module_scene.wasmlet))
    module_scene.pods.remove_all()
    eventually(lambda: not module_scene.pods.all())


@pytest.fixture
def counting(restarts: Scene) -> Iterator[CountingPods]:
    """Two pods of each policy, one of them Never and one OnFailure with sidecars and all."""
    restarts.counting.create(restarts.images, NODE, PODS)
    yield restarts.counting
    for name in list(restarts.counting.policies):
        restarts.counting.remove(name)


def create(restarts: Scene, name: str, *args: str, **spec: object) -> None:
    """A pod of one part; fields of its container under `main`."""
    image = restarts.images.push(obedient(), NAME)
    more = spec.pop("main", {})
    assert isinstance(more, dict)
    manifest = pod(name, "")
    main = part("main", image, *args, **more)
    manifest["spec"] |= {"nodeName": NODE, "containers": [main], **spec}
    restarts.pods.create(manifest)


def test_a_machine_that_restarts_repeats_nothing_that_is_finished(
    restarts: Scene, counting: CountingPods
) -> None:
    create(restarts, "done", "say", "once")
    create(restarts, "failed", "exit3")
    image = restarts.images.push(obedient(), NAME)
    inits = [part("first", image, "exit0"), part("second", image, "sleep")]
    create(restarts, "beginning", "sleep", restartPolicy=ALWAYS, initContainers=inits)
    restarts.pods.await_phase("done", "Succeeded")
    restarts.pods.await_phase("failed", "Failed")
    eventually(lambda: "running" in beginning(restarts)[1]["state"])
    over = {name: restarts.pods.get(name)["status"] for name in ("done", "failed")}
    finished, first = counting.finished(), beginning(restarts)[0]
    reborn = restart_machine(restarts)
    again = counting.names(ALWAYS, ON_FAILURE)
    eventually(lambda: all(map(counting.is_back, again)), within_s=60)
    eventually(lambda: all(map(counting.is_over, counting.names(NEVER))))
    eventually(lambda: "running" in beginning(reborn)[1]["state"])
    reborn.assert_recovered()
    assert counting.finished() == finished
    assert beginning(reborn)[0] == first, "it had finished"
    assert beginning(reborn)[1]["restartCount"] == 1, "it had not"
    for name, status in over.items():
        assert reborn.pods.get(name)["status"] == status
    for each in again:
        if each.container == "sidecar":
            main = each._replace(container="main")
            assert counting.began(each, run=1) < counting.began(main, run=1)
    reborn.anatomy.await_count(len(again) + 1)


def beginning(restarts: Scene) -> list[dict[str, Any]]:
    """The init containers' statuses of the pod that has not come further."""

    def ask() -> list[dict[str, Any]]:
        status: dict[str, Any] = restarts.pods.get("beginning")["status"]
        found: list[dict[str, Any]] = status.get("initContainerStatuses", [])
        return found

    return eventually(ask)


def restart_machine(restarts: Scene) -> Scene:
    """Kills every process, takes what is on tmpfs away, and begins anew."""
    keeper = restarts.anatomy.get(Part.KEEPER)
    on_tmpfs = Path(keeper.environment["WASMLET_RUN_DIR"]).parents[1]
    parts = [restarts.anatomy.get(part) for part in Part]
    restarts.wasmlet.process.kill()
    eventually(lambda: not guests_of(keeper) and not any(part.lives for part in parts))
    assert on_tmpfs.is_relative_to("/dev/shm") or on_tmpfs.is_relative_to("/run")  # noqa: S108
    shutil.rmtree(on_tmpfs)
    restarts.wasmlet.start()
    return restarts._replace(anatomy=Anatomy(restarts.wasmlet))


def test_a_pod_deleted_while_its_executor_was_away_ends_when_it_is_back(restarts: Scene) -> None:
    """Nothing of it runs any more, so there is nothing to wait for, and no hook to run."""
    hook = {"lifecycle": {"preStop": does("sleep")}}
    create(restarts, "deleted", "sleep", restartPolicy=ALWAYS, main=hook)
    create(restarts, "kept", "sleep", restartPolicy=ALWAYS)
    for name in ("deleted", "kept"):
        restarts.pods.await_phase(name, "Running")
    history = History(restarts.api, restarts.pods.namespace)
    with frozen(restarts.anatomy.up):
        keeper = restarts.anatomy.kill(Part.KEEPER)
        eventually(lambda: not guests_of(keeper))
        restarts.pods.delete("deleted")
        steadily(lambda: not restarts.pods.is_gone("deleted"), 2)
    eventually(lambda: restarts.pods.is_gone("deleted"), 15)
    eventually(lambda: restarts.pods.container("kept")["restartCount"] == 1)
    for moment in history.moments():
        if moment.name == "deleted":
            (status,) = moment.pod["status"]["containerStatuses"]
            assert status["restartCount"] == 0, "it does not run again to be stopped"
    restarts.anatomy.await_count(1)


def test_an_executor_that_is_rolled_stops_its_containers_and_starts_them_again(
    restarts: Scene, counting: CountingPods
) -> None:
    hook = {"lifecycle": {"preStop": does("sleep")}}
    grace = {"terminationGracePeriodSeconds": GRACE_S}
    create(restarts, "slow", "sleep", restartPolicy=ALWAYS, main=hook, **grace)
    restarts.pods.await_phase("slow", "Running")
    create_draining(restarts, "drained", restartPolicy=ON_FAILURE)
    finished = counting.finished()
    before = containers_of(restarts)
    keeper = restarts.anatomy.get(Part.KEEPER)
    with frozen(restarts.anatomy.up):  # which would start another at once
        took_s = roll(keeper)
        assert GRACE_S - 1 < took_s < GRACE_S + 5, "the preStop hook had its grace, and no more"
        assert not guests_of(keeper)
        steadily(lambda: containers_of(restarts) == before, 2)
    heir = restarts.anatomy.await_successor(Part.KEEPER, keeper)
    again = counting.names()  # of every policy: nothing of theirs ended them
    eventually(lambda: all(restarted(counting, name) for name in again), within_s=40)
    for name in ("slow", "drained"):
        eventually(lambda name=name: restarts.pods.container(name)["restartCount"] == 1)  # type: ignore[misc]  # a default binds it
    assert restarts.pods.container("drained")["lastState"]["terminated"]["exitCode"] == 0
    await_renewal(restarts.api, NODE)
    eventually(lambda: len(guests_of(heir)) == len(again) + 2)
    assert counting.finished() == finished


def create_draining(restarts: Scene, name: str, **spec: object) -> None:
    """A pod that ends well when it is told to, and waits for that."""
    manifest = pod(name, restarts.images.push(guests.drains(leaves=True), "drains"))
    manifest["metadata"]["annotations"] = {"wasmlet.dev/drain": "stdin-eof"}
    manifest["spec"] |= {"nodeName": NODE, **spec}
    restarts.pods.create(manifest)
    restarts.pods.await_phase(name, "Running")


def containers_of(restarts: Scene) -> dict[str, object]:
    """Phases and containers of all pods, as the API server shows them."""
    fields = ("phase", "initContainerStatuses", "containerStatuses")
    return {
        each["metadata"]["name"]: {field: each["status"].get(field) for field in fields}
        for each in restarts.pods.all()
    }


def roll(keeper: Process) -> float:
    """Has an executor end by SIGTERM; returns how long that took."""
    began = time.monotonic()
    keeper.signal(signal.SIGTERM)
    eventually(lambda: not keeper.lives)
    return time.monotonic() - began


def restarted(counting: CountingPods, name: object) -> bool:
    status = next(each for key, each in counting.statuses().items() if key == name)
    assert status["restartCount"] == 1, status
    assert status["lastState"]["terminated"]["exitCode"] == 143, status
    assert status["ready"], status
    return True
