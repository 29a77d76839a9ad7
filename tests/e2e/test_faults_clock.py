"""The wall clock of a node and of its services steps by an hour, ahead and back.

No back-off, no probe, no deadline, no grace and no lease is longer or shorter for it. All processes
of one `wasmlet up` have the clock; the control plane's stays right, so that they are an hour apart
before or after: what the API server writes is compared with nobody's own time either.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e import guests
from e2e.anatomy import Part
from e2e.byhand import standby
from e2e.expectations import LOOK_EVERY_S, eventually, steadily
from e2e.faults import ELECTION, SHORT, Scene, ready_since, scene
from e2e.history import History, condition
from e2e.images import Images
from e2e.obedient import NAME, does, obedient, part
from e2e.pods import pod
from e2e.running_wasmlet import RunningWasmlet
from e2e.stepping_clock import COMPILER, SteppingClock
from prometheus_client.parser import text_string_to_metric_families

from controlplane import ControlPlane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler, such as Debian's gcc"),
    pytest.mark.timeout(120),
]
NODE = "clock"
HOUR_S = 3600
DELAY_S = 4
RUN_S = 2
DEADLINE_S, GRACE_S = 8, 12
SLACK_S = 2.5
"""What a busy machine takes for a start, and a whole second of the API's times."""
SKEW_S = 60
EVERY_SECOND = {"periodSeconds": 1, "timeoutSeconds": 10}
ELECTION_LEASE_S = 3
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}"


class Steps(NamedTuple):
    """A scene whose clock is `before_s` ahead; `step` sets it."""

    scene: Scene
    clock: SteppingClock
    before_s: int
    after_s: int

    def step(self) -> None:
        self.clock.set(self.after_s)

    @property
    def by_s(self) -> int:
        return self.after_s - self.before_s


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> SteppingClock:
    return SteppingClock(tmp_path_factory.mktemp("stepping"))


@pytest.fixture(scope="module")
def clocked(
    clock: SteppingClock,
    control_plane: ControlPlane,
    images: Images,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT, *ELECTION]
    for name in ("RESTART_DELAY_S", "IMAGE_DELAY_S"):
        options += ["--set", f"wasm-executor:{name}={DELAY_S}"]
    options += ["--set", "wasm-executor:USAGE_INTERVAL_S=0.2"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(
        control_plane, folder, node_name=NODE, options=options, environment=clock.environment
    )
    with scene(control_plane, images, wasmlet) as clocked:
        yield clocked


@pytest.fixture(params=[(0, HOUR_S), (HOUR_S, 0)], ids=["ahead", "back"])
def steps(clocked: Scene, clock: SteppingClock, request: pytest.FixtureRequest) -> Iterator[Steps]:
    """Its clock as it is before the step."""
    before_s, after_s = request.param
    clock.set(before_s)
    yield Steps(clocked, clock, before_s, after_s)
    clocked.pods.remove_all()
    eventually(lambda: not clocked.pods.all() and not clocked.anatomy.containers())


def create(steps: Steps, name: str, main: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod of this container and one that is probed every second.

    So its node looks at the clock again and again: a delay that is counted on the wrong one does
    not just happen to be slept through.
    """
    manifest = pod(name, "")
    beside = plays(steps, "sleep", readinessProbe=does("exit0", **EVERY_SECOND))
    containers = [main, beside | {"name": "beside"}]
    manifest["spec"] |= {"nodeName": NODE, "containers": containers, **spec}
    return steps.scene.pods.create(manifest)


def plays(steps: Steps, *args: str, **more: Any) -> dict[str, Any]:
    return part("main", steps.scene.images.push(obedient(), NAME), *args, **more)


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def taken_s(ask: Callable[[], object]) -> float:
    """How long it takes, by the test's own clock, until the answer is true."""
    began = time.monotonic()
    eventually(ask)
    return time.monotonic() - began


def waits(steps: Steps, name: str, delay: str, restarts: int) -> dict[str, Any]:
    status = steps.scene.pods.container(name)
    waiting = status.get("state", {}).get("waiting", {})
    assert waiting.get("reason") == "CrashLoopBackOff", status
    assert f"back-off {delay} restarting" in waiting["message"], status
    assert status["restartCount"] == restarts, status
    return status


def test_a_back_off_takes_as_long_as_it_takes(steps: Steps) -> None:
    """At once, after 4 s, after 8 s: the clock steps while the third wait is on."""
    create(steps, "crashing", plays(steps, "exit1"), restartPolicy="Always")
    second = eventually(lambda: waits(steps, "crashing", f"{2 * DELAY_S}s", 2))
    steps.step()
    third = eventually(lambda: waits(steps, "crashing", f"{4 * DELAY_S}s", 3))
    ended = time_of(second["lastState"]["terminated"]["finishedAt"])
    began = time_of(third["lastState"]["terminated"]["startedAt"])
    shown_s = (began - ended).total_seconds()
    assert 2 * DELAY_S - 1 <= shown_s - steps.by_s <= 2 * DELAY_S + SLACK_S


def test_a_run_that_the_clock_steps_over_has_not_lasted_an_hour(steps: Steps) -> None:
    """Ten good minutes would begin the back-off anew, and a negative time never would."""
    counts = guests.counts(100, up_to=RUN_S * 10, exit_code=1)
    main = {"name": "main", "image": steps.scene.images.push(counts, "clock-runs")}
    create(steps, "running", main, restartPolicy="Always")
    status = eventually(lambda: waits(steps, "running", f"{DELAY_S}s", 1))
    eventually(lambda: "running" in steps.scene.pods.container("running")["state"])
    steps.step()
    status = eventually(lambda: waits(steps, "running", f"{2 * DELAY_S}s", 2))
    last = status["lastState"]["terminated"]
    ran_s = (time_of(last["finishedAt"]) - time_of(last["startedAt"])).total_seconds()
    assert abs(ran_s - steps.by_s) <= RUN_S + SLACK_S, "the step was within this run"


def test_an_image_is_tried_again_when_it_is_due(steps: Steps) -> None:
    """At once, after 4 s, after 8 s more."""
    missing = f"{steps.scene.images.registry.host}/nowhere:v1"
    uid = create(steps, "pulling", {"name": "main", "image": missing})["metadata"]["uid"]
    eventually(lambda: pulls(steps, uid, missing) == 2)
    steps.step()
    waited_s = taken_s(lambda: pulls(steps, uid, missing) == 3)
    assert 2 * DELAY_S - SLACK_S <= waited_s <= 2 * DELAY_S + SLACK_S


def pulls(steps: Steps, uid: str, image: str) -> int:
    """How often the pod has tried this image."""
    pods = steps.scene.pods
    selector = f"involvedObject.uid={uid},reason=Pulling"
    path = f"/api/v1/namespaces/{pods.namespace}/events"
    found = steps.scene.api.get(path, fieldSelector=selector)["items"]
    said = f'Pulling image "{image}"'
    return sum(int(each.get("count", 1)) for each in found if each["message"] == said)


def test_probes_keep_their_pace_and_no_pod_becomes_unready(steps: Steps) -> None:
    kinds = ("readinessProbe", "livenessProbe")
    probes = dict.fromkeys(kinds, does("exit0", **EVERY_SECOND))
    create(steps, "probed", plays(steps, "sleep", **probes))
    pods = steps.scene.pods
    eventually(lambda: pods.conditions("probed").get("Ready") == "True")
    container, history = pods.container("probed"), History(steps.scene.api, pods.namespace)
    before, began = probed(steps, "probed"), time.monotonic()
    steps.step()
    steadily(lambda: pods.container("probed") == container, 10)
    for kind, count in probed(steps, "probed").items():
        per_s = (count - before[kind]) / (time.monotonic() - began)
        assert 0.6 <= per_s <= 1.4, f"{kind}: {per_s:.2f}/s"
    for moment in history.moments():
        assert condition(moment.pod, "Ready")["status"] == "True"


def test_a_first_probe_comes_after_its_delay(steps: Steps) -> None:
    asked = does("exit0", initialDelaySeconds=2 * DELAY_S, periodSeconds=1)
    create(steps, "delayed", plays(steps, "sleep", startupProbe=asked))
    pods = steps.scene.pods
    eventually(lambda: "running" in pods.container("delayed").get("state", {}))
    steps.step()
    waited_s = taken_s(lambda: pods.container("delayed")["started"])
    assert 2 * DELAY_S - SLACK_S <= waited_s <= 2 * DELAY_S + SLACK_S


def probed(steps: Steps, name: str) -> dict[str, float]:
    """How often each kind of probe has succeeded."""
    path = f"/api/v1/nodes/{NODE}/proxy/metrics/probes"
    text = steps.scene.plane.kubectl("get", "--raw", path).stdout
    return {
        sample.labels["probe_type"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "prober_probe_total"
        and (sample.labels["pod"], sample.labels["container"]) == (name, "main")
        and sample.labels["result"] == "successful"
    }


def test_a_deadline_and_a_grace_are_as_long_as_they_were(steps: Steps) -> None:
    pods = steps.scene.pods
    hook = {"lifecycle": {"preStop": does("sleep")}}
    create(steps, "patient", plays(steps, "sleep", **hook), terminationGracePeriodSeconds=GRACE_S)
    pods.await_phase("patient", "Running")
    create(steps, "bounded", plays(steps, "sleep"), activeDeadlineSeconds=DEADLINE_S)
    pods.await_phase("bounded", "Running")
    began = time.monotonic()
    pods.delete("patient")
    steps.step()
    found = pods.await_phase("bounded", "Failed")
    assert found["status"]["reason"] == "DeadlineExceeded"
    assert DEADLINE_S - SLACK_S <= time.monotonic() - began <= DEADLINE_S + SLACK_S
    assert not pods.is_gone("patient")
    eventually(lambda: pods.is_gone("patient"))
    assert GRACE_S - 1 <= time.monotonic() - began <= GRACE_S + SLACK_S


def test_leases_are_renewed_and_the_leader_leads_on(steps: Steps, tmp_path: Path) -> None:
    """Its rival waits on a machine whose clock is right all the time.

    The Node's renew time grows, even where the clock was set back: who looks after Nodes counts a
    Lease as renewed by that alone.
    """
    clocked, api = steps.scene, steps.scene.api
    like = clocked.anatomy.get(Part.RECONCILER)
    leading = LEASES.format("wasmlet-system", "pod-reconciler")
    with standby(like, Part.RECONCILER, tmp_path / "second") as second:
        before, ready = api.get(leading)["spec"], ready_since(api, NODE)
        steps.step()
        renewed_at = renewals(clocked, 3 * ELECTION_LEASE_S)
        assert len(renewed_at) >= 2 * ELECTION_LEASE_S, "one is due every second"
        assert sorted(renewed_at) == renewed_at
        assert abs(ahead_s(renewed_at[-1]) - HOUR_S) < SKEW_S, "it was an hour ahead or is now"
        now = api.get(leading)["spec"]
        assert abs(ahead_s(now["renewTime"]) - steps.after_s) < SKEW_S
        assert now["holderIdentity"] == before["holderIdentity"]
        assert now["leaseTransitions"] == before["leaseTransitions"]
        assert not second.records("term.started")
        assert ready_since(api, NODE) == ready
    clocked.assert_recovered()


def renewals(clocked: Scene, for_s: float) -> list[str]:
    """The renew times that the Node's Lease shows in that time, one after the other."""
    path = LEASES.format("kube-node-lease", NODE)
    seen: list[str] = []
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        seen.append(clocked.api.get(path)["spec"]["renewTime"])
        time.sleep(LOOK_EVERY_S)
    return list(dict.fromkeys(seen))


def ahead_s(moment: str) -> float:
    """How far this time is ahead of the right one."""
    return time_of(moment).timestamp() - time.time()
