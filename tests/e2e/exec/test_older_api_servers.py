"""An API server without `ExtendWebSocketsToKubelet` speaks SPDY to every kubelet."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import guests
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane
from controlplane.tuning import Tuning

OFF = "--feature-gates=ExtendWebSocketsToKubelet=false"


@pytest.fixture
def older(tmp_path: Path) -> Iterator[ControlPlane]:
    tuning = Tuning(extra_args={"kube-apiserver": [OFF]})
    with ControlPlane(tmp_path / "older", tuning=tuning) as plane:
        plane.deploy()
        yield plane


@pytest.fixture
def older_pods(older: ControlPlane, images: Images, tmp_path: Path) -> Iterator[Pods]:
    """Pods of a node in that cluster."""
    options = ["--insecure-registry", images.registry.host]
    wasmlet = RunningWasmlet(older, tmp_path / "up", node_name="older", options=options)
    with Api(older) as api:
        wasmlet.start()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        eventually(lambda: api.find(account))
        pods = Pods(older, api, "default")
        yield pods
        pods.remove_all()
        wasmlet.stop()


def test_exec_and_attach_are_translated_to_spdy(
    older: ControlPlane, older_pods: Pods, images: Images, commands_module: bytes
) -> None:
    older_pods.run("commanded", images.push(commands_module, "commands"), command=["commands"])
    older_pods.run("counts", images.push(guests.counts(20), "counts"))
    older_pods.await_phase("commanded", "Running")
    older_pods.await_phase("counts", "Running")

    def asked(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes]:
        command = older.kubectl.command("exec", *arguments)
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=40, check=False)
        return done.returncode, done.stdout

    assert asked("commanded", "--", "commands", "out") == (3, b"out\n")
    content = bytes(range(256)) * 4000
    answer = asked("-i", "commanded", "--", "commands", "echo", stdin=content)
    whole = answer == (0, content)
    assert whole
    attach = older.kubectl.command("attach", "counts")
    with subprocess.Popen(attach, stdout=subprocess.PIPE, text=True) as attached:
        assert attached.stdout is not None
        lines = [attached.stdout.readline() for _ in range(5)]
        attached.terminate()
    first = int(lines[0].split()[1])
    assert "".join(lines) == guests.numbered(first, first + 4)
