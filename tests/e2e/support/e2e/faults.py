"""What fault tests share: a wasmlet of their own, what must not change, and proof of recovery."""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

from contract.messages.form import Incarnation
from controlplane import ControlPlane
from e2e import guests
from e2e.anatomy import Anatomy
from e2e.api import Api
from e2e.counting import CountingPods, Name, assert_consecutive
from e2e.expectations import eventually
from e2e.history import History, condition
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet

# Kubernetes' own pace is made for thousands of nodes; a test has one.
SHORT = (
    *("--set", "node-registrar:LEASE_RENEW_S=1"),
    *("--set", "node-registrar:STATUS_INTERVAL_S=1"),
    *("--set", "node-registrar:GRANTS_INTERVAL_S=1"),
    *("--set", "log-server:FOLLOW_WAIT_S=1"),
    *("--set", "log-server:ANNOUNCE_INTERVAL_S=1"),
    *("--set", "wasm-executor:BEAT_INTERVAL_S=1"),
    *("--set", "wasm-executor:REGISTER_RETRY_S=0.5"),
    *("--set", "wasm-executor:RESTART_DELAY_S=1"),
)
ELECTION = (
    *("--set", "pod-reconciler:ELECTION=on"),
    *("--set", "pod-reconciler:ELECTION_LEASE_S=3"),
    *("--set", "pod-reconciler:ELECTION_RENEW_DEADLINE_S=2"),
    *("--set", "pod-reconciler:ELECTION_RETRY_S=0.5"),
)
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_numbers = itertools.count(1)


class Scene(NamedTuple):
    """A wasmlet of a test's own, and pods that count on its first Node."""

    plane: ControlPlane
    api: Api
    images: Images
    wasmlet: RunningWasmlet
    anatomy: Anatomy
    pods: Pods
    counting: CountingPods

    @property
    def node(self) -> str:
        return self.wasmlet.nodes[0]

    def assert_recovered(self) -> None:
        """One more pod goes its whole way, and the Node is kept."""
        assert_new_pods_work(self)
        await_renewal(self.api, self.node)


@contextmanager
def scene(plane: ControlPlane, images: Images, wasmlet: RunningWasmlet) -> Iterator[Scene]:
    """Everything runs but the pods. At the end its Nodes are gone: they would count as domains."""
    name = wasmlet.nodes[0]
    with Api(plane) as api:
        wasmlet.start()
        try:
            with _namespace(plane, api, name) as pods:
                counting = CountingPods(plane, pods, log_root_of(wasmlet.data_dir, name))
                yield Scene(plane, api, images, wasmlet, Anatomy(wasmlet), pods, counting)
        finally:
            wasmlet.stop()
            for node in wasmlet.nodes:
                api.delete(f"/api/v1/nodes/{node}")


@contextmanager
def _namespace(plane: ControlPlane, api: Api, name: str) -> Iterator[Pods]:
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    eventually(lambda: api.find(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    pods = Pods(plane, api, name)
    yield pods
    pods.remove_all()
    api.delete(f"/api/v1/namespaces/{name}")


def log_root_of(data_dir: Path, node: str) -> Path:
    return data_dir / "nodes" / node / "logs"


def is_ready(api: Api, node: str) -> bool:
    conditions = api.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ready_since(api: Api, node: str) -> str:
    """Since when the Node is Ready, or is not."""
    ready = condition(api.get(f"/api/v1/nodes/{node}"), "Ready")
    return str(ready["lastTransitionTime"])


def incarnation_of(api: Api, node: str) -> Incarnation:
    """Who holds the Node's name, as the Node records it."""
    annotations = api.get(f"/api/v1/nodes/{node}")["metadata"]["annotations"]
    executor_id, _, count = annotations["wasmlet.dev/incarnation"].rpartition("/")
    return Incarnation(executor_id=executor_id, start_count=int(count))


def await_renewal(api: Api, node: str, within_s: float = 20.0) -> None:
    """The Node is Ready and its Lease is renewed from now on."""

    def renewed() -> str:
        return str(api.get(f"{_LEASES}/{node}")["spec"]["renewTime"])

    last = renewed()
    eventually(lambda: renewed() != last and is_ready(api, node), within_s)


class Baseline:
    """All counting pods as they were, to be compared with what they are after a fault."""

    def __init__(self, scene: Scene) -> None:
        self._anatomy, self._counting = scene.anatomy, scene.counting
        self._node, counting = scene.node, scene.counting
        self.processes = scene.anatomy.await_count(len(counting.names()), scene.node)
        self.statuses = counting.statuses()
        self.finished = counting.finished()
        self.phases = counting.phases()
        self.conditions = counting.conditions()
        self._history = History(scene.api, scene.pods.namespace)
        self.written = {name: len(counting.written(name)) for name in counting.names()}

    def assert_untouched(self, *, conditions: bool = True) -> None:
        """The same processes, states and counts; every line is there once, and more came.

        With `conditions`, none of those has flipped meanwhile, not even for a moment.
        """
        self._anatomy.await_containers(self.processes, self._node)
        assert self._counting.statuses() == self.statuses
        assert self._counting.finished() == self.finished
        assert self._counting.phases() == self.phases
        if conditions:
            flipped = {
                name: sorted(set(held) ^ set(self.conditions[name]))
                for name, held in self._counting.conditions().items()
                if held != self.conditions[name]
            }
            assert not flipped, f"conditions have flipped: {flipped}"
        self._assert_lines_go_on()

    def assert_always_ready(self) -> None:
        """At no moment since has the API server shown one of the pods as not ready."""
        for moment in self._history.moments():
            if moment.name in self.phases:
                for kind in ("Ready", "ContainersReady"):
                    held = condition(moment.pod, kind)
                    assert held.get("status") == "True", f"{moment.name}: {held}"

    def _assert_lines_go_on(self) -> None:
        now = {name: self._counting.written(name) for name in self._counting.names()}
        shown = self._counting.shown()
        for name, before in self.written.items():
            assert_consecutive(now[name], name)
            assert len(now[name]) > before, f"{name} has stopped writing"
            assert_consecutive(shown[name], f"kubectl logs of {name}")
            assert len(shown[name]) >= len(now[name])
        assert set(shown) == set(now)


class Followed:
    """`kubectl logs -f` of a container; must not end by itself, unless that is awaited."""

    def __init__(self, scene: Scene, name: Name, folder: Path) -> None:
        kubectl = scene.plane.kubectl
        self._command = kubectl.command("logs", "--follow", "--tail=1", name.pod)
        self._command += [f"--namespace={scene.pods.namespace}", f"--container={name.container}"]
        self._environment = kubectl.environment
        self._out = folder / "followed.log"

    def __enter__(self) -> Self:
        with self._out.open("wb") as out:
            self._kubectl = subprocess.Popen(self._command, stdout=out, env=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._kubectl.kill()
        self._kubectl.wait()

    def numbers(self) -> list[int]:
        """What it has shown until now: every number follows on the one before."""
        assert self._kubectl.poll() is None, "kubectl logs -f has ended"
        return self._shown()

    def until_its_end(self) -> list[int]:
        """What it has shown in all, once it has ended by itself."""
        eventually(lambda: self._kubectl.poll() is not None)
        return self._shown()

    def _shown(self) -> list[int]:
        lines = self._out.read_text().rpartition("\n")[0].splitlines()
        numbers = [int(line.split()[1]) for line in lines]
        for one, following in pairwise(numbers):
            assert following == one + 1, f"{one} is followed by {following}"
        return numbers

    def await_number(self, number: int) -> None:
        """It has come as far. On a busy machine kubectl may begin behind the number."""
        eventually(lambda: max(self.numbers(), default=-1) >= number)


def assert_new_pods_work(scene: Scene) -> None:
    """The whole way of one more pod: it runs, its line is shown, it goes.

    Bound to the Node by hand: after an outage the scheduler may be away for half a minute more.
    """
    pods = scene.pods
    manifest = pod(f"new-{next(_numbers)}", scene.images.push(guests.sleeps("here\n"), "fault-new"))
    name = manifest["metadata"]["name"]
    manifest["spec"]["nodeName"] = scene.node
    pods.create(manifest)
    pods.await_phase(name, "Running")
    eventually(lambda: _shown(scene, name) == "here\n")
    pods.delete(name)
    eventually(lambda: pods.is_gone(name))


def _shown(scene: Scene, name: str) -> str:
    """What `kubectl logs` shows; nothing while it fails, for the log-server may be coming."""
    kubectl = scene.plane.kubectl
    return kubectl("logs", f"--namespace={scene.pods.namespace}", name, check=False).stdout
