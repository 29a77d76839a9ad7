"""The supervisor dies with kill -9 at an awkward moment of a pod's life: nothing is done twice.

An init container runs, a sidecar starts, a hook runs, a crashed container waits, a probe has failed
and not yet often enough. What the supervisor alone knew is lost, as with a kubelet: a hook is not
awaited any more, and a probe begins to count anew. What it did is not.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import Part
from e2e.expectations import eventually, steadily
from e2e.faults import SHORT, Scene, scene
from e2e.history import DELETED, History, condition
from e2e.images import Images
from e2e.obedient import NAME, does, obedient, part
from e2e.pods import pod
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

NODE = "life"
DELAY_S = 3
GRACE_S = 6
PERIOD_S = 3
LINES = 150


@pytest.fixture(scope="module")
def life(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT]
    options += ["--set", f"wasm-executor:RESTART_DELAY_S={DELAY_S}"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as life:
        yield life


@pytest.fixture
def name(life: Scene, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the one pod of a test; it is gone afterwards, with all its processes."""
    name = str(request.node.name).removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    yield name
    life.pods.delete(name, grace_s=0)
    eventually(lambda: life.pods.is_gone(name) and not life.anatomy.containers())


def create(life: Scene, name: str, *containers: dict[str, Any], **spec: Any) -> None:
    manifest = pod(name, "")
    manifest["spec"] |= {"containers": list(containers), **spec}
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    life.pods.create(manifest)


def plays(life: Scene, container: str, *args: str, **more: Any) -> dict[str, Any]:
    return part(container, life.images.push(obedient(), NAME), *args, **more)


def kill_supervisor(life: Scene) -> None:
    """Returns when there is another and it has made itself heard."""
    life.anatomy.await_successor(Part.SUPERVISOR, life.anatomy.kill(Part.SUPERVISOR))
    life.assert_recovered()


def init_status(life: Scene, name: str) -> dict[str, Any]:
    statuses = life.pods.get(name)["status"].get("initContainerStatuses", [{}])
    return dict(statuses[0])


def test_an_init_container_runs_on_and_is_not_repeated(life: Scene, name: str) -> None:
    counts = life.images.push(guests.counts(20, up_to=LINES), "fault-init")
    init = {"name": "init", "image": counts}
    create(life, name, plays(life, "main", "sleep"), initContainers=[init])
    eventually(lambda: "running" in init_status(life, name).get("state", {}))
    (process,) = life.anatomy.await_count(1)
    life.anatomy.await_successor(Part.SUPERVISOR, life.anatomy.kill(Part.SUPERVISOR))
    assert process.lives
    life.pods.await_phase(name, "Running")
    finished = init_status(life, name)
    assert finished["state"]["terminated"]["exitCode"] == 0
    assert finished["restartCount"] == 0
    kill_supervisor(life)
    assert init_status(life, name) == finished
    assert life.pods.logs(name, "--container=init") == guests.numbered(1, LINES)


def test_a_sidecar_that_has_yet_to_start_runs_on_and_its_app_waits(life: Scene, name: str) -> None:
    asked = does("exit0", initialDelaySeconds=2 * PERIOD_S, periodSeconds=1)
    sidecar = plays(life, "proxy", "sleep", restartPolicy="Always", startupProbe=asked)
    history = History(life.api, life.pods.namespace)
    create(life, name, plays(life, "main", "sleep"), initContainers=[sidecar])
    eventually(lambda: "running" in init_status(life, name).get("state", {}))
    (process,) = life.anatomy.await_count(1)
    assert not init_status(life, name)["started"], "the supervisor is to die before that"
    kill_supervisor(life)
    (main,) = life.pods.await_phase(name, "Running")["status"]["containerStatuses"]
    proxy = init_status(life, name)
    assert process.lives
    assert proxy["started"]
    since, until = (time_of(each["state"]["running"]["startedAt"]) for each in (proxy, main))
    assert (until - since).total_seconds() >= 2 * PERIOD_S - 1  # whole seconds
    assert (proxy["restartCount"], main["restartCount"]) == (0, 0)
    shown = [each.pod["status"] for each in history.moments() if each.name == name]
    for status in shown:
        (app,) = status.get("containerStatuses", [{"state": {}}])
        (waited_for,) = status.get("initContainerStatuses", [{}])
        assert waited_for.get("started") or "running" not in app["state"], status


def test_a_hook_after_the_start_is_not_awaited_any_more(life: Scene, name: str) -> None:
    """Nor is it run again: it may have been done. The container that it was for runs on."""
    hook = {"lifecycle": {"postStart": does("sleep")}}
    create(life, name, plays(life, "main", "sleep", **hook), plays(life, "next", "sleep"))
    before = life.anatomy.await_count(2)  # the hook is one of them
    kill_supervisor(life)
    found = life.pods.await_phase(name, "Running")
    for status in found["status"]["containerStatuses"]:
        assert status["restartCount"] == 0
        assert status["ready"]
    after = life.anatomy.await_count(2)  # and now the next container is
    assert len(before & after) == 1
    assert not [each for each in life.pods.events(name) if "Hook" in each[0]]


def test_a_hook_before_the_end_takes_no_more_than_the_grace(life: Scene, name: str) -> None:
    hook = {"lifecycle": {"preStop": does("sleep")}}
    main = plays(life, "main", "sleep", **hook)
    create(life, name, main, terminationGracePeriodSeconds=GRACE_S)
    life.pods.await_phase(name, "Running")
    running, history = life.anatomy.await_count(1), History(life.api, life.pods.namespace)
    began = time.monotonic()
    life.pods.delete(name)
    life.anatomy.await_more(running, 1)
    life.anatomy.await_successor(Part.SUPERVISOR, life.anatomy.kill(Part.SUPERVISOR))
    eventually(lambda: life.pods.is_gone(name), 3 * GRACE_S)
    assert GRACE_S - 1 < time.monotonic() - began < GRACE_S + 5
    (last,) = [each.pod for each in history.moments() if each.kind == DELETED]
    (status,) = last["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 143
    assert status["restartCount"] == 0


def test_a_crash_loop_goes_on_with_its_count_and_its_delay(life: Scene, name: str) -> None:
    """At once, after 3 s, after 6 s: the third wait is on when the supervisor dies."""
    create(life, name, plays(life, "main", "exit1"), restartPolicy="Always")

    def waits(delay: str, restarts: int) -> dict[str, Any]:
        status = life.pods.container(name)
        waiting = status.get("state", {}).get("waiting", {})
        assert waiting.get("reason") == "CrashLoopBackOff", status
        assert f"back-off {delay} restarting" in waiting["message"], status
        assert status["restartCount"] == restarts, status
        return status

    second = eventually(lambda: waits("6s", 2))
    history = History(life.api, life.pods.namespace)
    life.anatomy.await_successor(Part.SUPERVISOR, life.anatomy.kill(Part.SUPERVISOR))
    third = eventually(lambda: waits("12s", 3))
    ended = time_of(second["lastState"]["terminated"]["finishedAt"])
    began = time_of(third["lastState"]["terminated"]["startedAt"])
    assert 2 * DELAY_S - 1 <= (began - ended).total_seconds() <= 2 * DELAY_S + 2
    for moment in history.moments():
        (shown,) = moment.pod["status"]["containerStatuses"]
        waiting = shown["state"].get("waiting")
        assert waiting is None or shown in (second, third), "nothing else was shown of a wait"


def test_a_probe_that_has_failed_counts_anew(life: Scene, name: str) -> None:
    """Two failures of three were known to the dead supervisor alone: three more are needed."""
    timing = {"initialDelaySeconds": PERIOD_S, "periodSeconds": PERIOD_S, "timeoutSeconds": 2}
    probe = does("exit1", failureThreshold=3, **timing)
    main = plays(life, "main", "sleep", livenessProbe=probe)
    create(life, name, main, restartPolicy="Always")
    life.pods.await_phase(name, "Running")
    before, history = life.pods.container(name), History(life.api, life.pods.namespace)
    eventually(lambda: failures(life, name) == 2)
    killed_at = time.monotonic()
    life.anatomy.await_successor(Part.SUPERVISOR, life.anatomy.kill(Part.SUPERVISOR))
    # With those two, the next failure would be the last.
    until = killed_at + 2 * PERIOD_S - 0.5
    steadily(lambda: life.pods.container(name) == before, until - time.monotonic())
    eventually(lambda: life.pods.container(name)["restartCount"] == 1)
    eventually(lambda: failures(life, name) == 2 + 3)  # the next run is not asked at once
    first = next(each for each in history.moments() if restarts(each.pod) == 1)
    earlier = history.moments()[: history.moments().index(first)]
    assert all(condition(each.pod, "Ready").get("status") == "True" for each in earlier)


def failures(life: Scene, name: str) -> int:
    """How often a probe of the pod is said to have failed."""
    selector = f"involvedObject.name={name},reason=Unhealthy"
    path = f"/api/v1/namespaces/{life.pods.namespace}/events"
    items = life.api.get(path, fieldSelector=selector)["items"]
    return sum(int(each.get("count", 1)) for each in items)


def restarts(found: dict[str, Any]) -> int:
    return int(found["status"]["containerStatuses"][0]["restartCount"])


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)
