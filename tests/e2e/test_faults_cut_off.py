"""A node that is cut off from everybody goes on restarting, probing and terminating by itself.

The bus is away, so that nobody tells the executor anything and nobody hears of it. What it did
meanwhile is told when the bus is back.
"""

import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.faults import SHORT, Scene, log_root_of, scene
from e2e.images import Images
from e2e.obedient import NAME, does, obedient, part
from e2e.pods import pod
from e2e.processes import Process
from e2e.running_wasmlet import RunningWasmlet

from contract.ids import NodeName
from contract.subjects import Role
from controlplane import ControlPlane
from embedded_nats import EmbeddedNats

pytestmark = pytest.mark.timeout(120)
NODE = "cut-off"
GRACE_S = 10
RUN_MS = 1500


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """Not kept by `wasmlet up`, which would start it again at once."""
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), [NodeName(NODE)]) as nats:
        yield nats


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    nats: EmbeddedNats,
    images: Images,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    passwords = nats.password_file(Role.LOG_SERVER).parent
    options = ["--nats", nats.url, "--nats-passwords", str(passwords)]
    options += ["--insecure-registry", images.registry.host, *SHORT]
    options += ["--set", "wasm-executor:GUEST_SOCKETS=true"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as node:
        yield node


@pytest.fixture
def begin(node: Scene) -> Callable[..., Process]:
    """Creates a pod of one container and returns the process that runs it."""

    def create(name: str, main: dict[str, Any], **spec: Any) -> Process:
        others = node.anatomy.containers()
        manifest = pod(name, "")
        manifest["spec"] |= {"nodeName": NODE, "containers": [main], **spec}
        node.pods.create(manifest)
        node.pods.await_phase(name, "Running")
        (process,) = node.anatomy.await_more(others, 1)
        return process

    return create


def runs(node: Scene, name: str) -> int:
    """How often the pod's container has begun: its node's log files are numbered by run."""
    found = (log_root_of(node.wasmlet.data_dir, NODE) / "pods").glob(
        f"{node.pods.namespace}_{name}_*/main/*.log"
    )
    return 1 + max((int(each.stem) for each in found), default=-1)


def free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("", 0))
        return int(probing.getsockname()[1])


def test_a_node_that_is_cut_off_goes_on_restarting_probing_and_terminating(
    node: Scene, nats: EmbeddedNats, begin: Callable[..., Process]
) -> None:
    pods, always = node.pods, {"restartPolicy": "Always"}
    image, port = node.images.push(obedient(), NAME), free_port()
    sleeps = part("main", image, "sleep")
    probe = {"httpGet": {"port": port}, "periodSeconds": 1, "failureThreshold": 2}
    listener = part("main", node.images.push(guests.listens(), "listener"), str(port))
    sick = begin(
        "sick",
        listener | {"livenessProbe": probe | {"terminationGracePeriodSeconds": 1}},
        **always,
    )
    hook = {"lifecycle": {"preStop": does("sleep")}}
    ending = begin("ending", sleeps | hook, terminationGracePeriodSeconds=GRACE_S)
    bounded = begin("bounded", sleeps, activeDeadlineSeconds=GRACE_S)
    counts = guests.counts(50, up_to=RUN_MS // 50, exit_code=1)
    begin("crashing", part("main", node.images.push(counts, "cut-off-crash")), **always)
    pods.delete("ending")
    eventually(lambda: ("Killing", "Stopping container main") in pods.events("ending"))
    nats.kill()
    assert ending.lives, "else it did not end while nobody could be told"
    assert bounded.lives
    begun = runs(node, "crashing")
    sick.signal(signal.SIGSTOP)
    eventually(lambda: runs(node, "sick") == 2)
    eventually(lambda: not (sick.lives or ending.lives or bounded.lives))
    eventually(lambda: runs(node, "crashing") >= begun + 2)
    assert not pods.is_gone("ending")
    assert pods.container("sick")["restartCount"] == 0
    assert pods.get("bounded")["status"]["phase"] == "Running"
    nats.start()
    eventually(lambda: pods.is_gone("ending"))
    assert pods.await_phase("bounded", "Failed")["status"]["reason"] == "DeadlineExceeded"
    eventually(lambda: pods.container("sick")["restartCount"] == 1)
    assert pods.container("sick")["lastState"]["terminated"]["exitCode"] == 137
    eventually(lambda: pods.container("crashing")["restartCount"] >= begun + 1)
    said = "Container main failed liveness probe, will be restarted"
    eventually(lambda: ("Killing", said) in pods.events("sick"))
