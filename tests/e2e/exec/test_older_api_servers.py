"""An API server without `ExtendWebSocketsToKubelet` speaks SPDY to every kubelet.

It stands beside the control plane's own one, on the same etcd, as in a cluster that is upgraded.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods

from controlplane import Component, ControlPlane
from controlplane.ports import free_ports
from controlplane.probing import answers_ok

OFF = "--feature-gates=ExtendWebSocketsToKubelet=false"

type Command = Callable[..., list[str]]


@pytest.fixture
def older(control_plane: ControlPlane, pods: Pods, tmp_path: Path) -> Iterator[Command]:
    """The command lines of a kubectl that asks the older API server."""
    (port,) = free_ports(1)
    changed = [f"--secure-port={port}", f"--cert-dir={tmp_path}", OFF]
    older = Component(
        "older kube-apiserver",
        [*control_plane.api_server.command, *changed],
        tmp_path / "kube-apiserver.log",
        answers_ok(port, "/readyz", control_plane.authority, control_plane.admin),
    )

    def command(verb: str, *rest: str) -> list[str]:
        where = (f"--server=https://127.0.0.1:{port}", f"--namespace={pods.namespace}")
        return control_plane.kubectl.command(verb, *where, *rest)

    older.start()
    try:
        older.wait_ready()
        yield command
    finally:
        older.stop()


@pytest.mark.usefixtures("wasmlet_up")
def test_exec_and_attach_are_translated_to_spdy(
    older: Command, pods: Pods, images: Images, commands_module: bytes
) -> None:
    pods.run("commanded", images.push(commands_module, "commands"), command=["commands"])
    pods.run("counts", images.push(guests.counts(20), "counts"))
    pods.await_phase("commanded", "Running")
    pods.await_phase("counts", "Running")

    def asked(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes]:
        command = older("exec", *arguments)
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=40, check=False)
        return done.returncode, done.stdout

    assert asked("commanded", "--", "commands", "out") == (3, b"out\n")
    content = bytes(range(256)) * 4000
    answer = asked("-i", "commanded", "--", "commands", "echo", stdin=content)
    whole = answer == (0, content)
    assert whole
    with subprocess.Popen(older("attach", "counts"), stdout=subprocess.PIPE, text=True) as attached:
        assert attached.stdout is not None
        lines = [attached.stdout.readline() for _ in range(5)]
        attached.terminate()
    first = int(lines[0].split()[1])
    assert "".join(lines) == guests.numbered(first, first + 4)
