"""A pod whose module also obeys commands."""

import socket
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, run
from typing import Any

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods, pod

from controlplane import ControlPlane

ROOT = Path(__file__).parents[3]
COMMANDS = ROOT / "services/wasm-executor/tests/support/supervised/commands.wat"
PROGRAM = "commands"

type Kubectl = Callable[..., CompletedProcess[bytes]]


@pytest.fixture(scope="session")
def commands_module() -> bytes:
    """`commands echo`, `commands out` and `commands flood` are its programs."""
    return guests.wat(_inside(COMMANDS.read_text()))


@pytest.fixture
def commanded(pods: Pods, images: Images, commands_module: bytes) -> str:
    """A running pod of that module."""
    image = images.push(commands_module, PROGRAM)
    pods.run("commanded", image, command=[PROGRAM])
    pods.await_phase("commanded", "Running")
    return "commanded"


@pytest.fixture
def port() -> int:
    with socket.socket() as probing:
        probing.bind(("", 0))
        number: int = probing.getsockname()[1]
        return number


@pytest.fixture
def web(pods: Pods, images: Images, port: int) -> str:
    image = images.push(guests.listens(), "listener")
    ports = [{"name": "web", "containerPort": port}]
    manifest: dict[str, Any] = pod("web", image, args=[str(port)], ports=ports)
    manifest["spec"]["hostNetwork"] = True
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    manifest["spec"]["containers"][0]["startupProbe"] = probe
    pods.create(manifest)
    pods.await_phase("web", "Running")
    return "web"


@pytest.fixture(params=["true", "false"], ids=["websocket", "spdy"])
def kubectl(
    control_plane: ControlPlane,
    pods: Pods,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Kubectl:
    """`kubectl` in the namespace of the test, with bytes in and out, in both of its protocols."""
    for feature in ("REMOTE_COMMAND", "PORT_FORWARD"):
        monkeypatch.setenv(f"KUBECTL_{feature}_WEBSOCKETS", request.param)

    def ask(*arguments: str, stdin: bytes | None = None) -> CompletedProcess[bytes]:
        verb, *rest = arguments
        command = control_plane.kubectl.command(verb, f"--namespace={pods.namespace}", *rest)
        return run(command, input=stdin or b"", capture_output=True, timeout=40, check=False)

    return ask


def _inside(text: str) -> str:
    return text[text.index("(module") + len("(module") : text.rindex(")")]
