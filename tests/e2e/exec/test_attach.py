"""`kubectl attach` and `kubectl run -it`: what a container says, and what it is told."""

import json
import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import RUNTIME_CLASS, Pods

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Kubectl = Callable[..., CompletedProcess[bytes]]
ECHO = Path(__file__).parents[3] / "services/wasm-executor/tests/support/guests/echo.wat"


@pytest.fixture
def echo(images: Images) -> str:
    """An image that writes what it reads, up to the end."""
    text = ECHO.read_text()
    module = guests.wat(text[text.index("(module") + len("(module") : text.rindex(")")])
    return images.push(module, "echo")


def test_input_reaches_a_container_and_its_end_ends_it(
    kubectl: Kubectl, pods: Pods, echo: str
) -> None:
    pods.run("reads", echo, stdin=True, stdinOnce=True)
    pods.await_phase("reads", "Running")
    content = b"".join(b"line %06d\n" % number for number in range(20_000))
    done = kubectl("attach", "-i", "reads", stdin=content)
    assert done.returncode == 0
    whole = done.stdout == content
    assert whole, (len(done.stdout), done.stderr)
    pods.await_phase("reads", "Succeeded")


@pytest.mark.usefixtures("kubectl")
def test_output_is_shown_from_now_on(
    control_plane: ControlPlane, pods: Pods, images: Images
) -> None:
    pods.run("counts", images.push(guests.counts(20), "counts"))
    pods.await_phase("counts", "Running")
    command = control_plane.kubectl.command("attach", f"--namespace={pods.namespace}", "counts")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attached:
        assert attached.stdout is not None
        lines = [attached.stdout.readline() for _ in range(20)]
        attached.terminate()
    first = int(lines[0].split()[1])
    assert "".join(lines) == guests.numbered(first, first + 19)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.usefixtures("kubectl")
def test_run_it_is_a_terminal(
    control_plane: ControlPlane, pods: Pods, echo: str, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    options = ["-it", "--rm", "--restart=Never", f"--image={echo}", f"--namespace={pods.namespace}"]
    overrides = json.dumps({"spec": {"runtimeClassName": RUNTIME_CLASS}})
    command = control_plane.kubectl.command("run", "it", *options, f"--overrides={overrides}")
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as kubectl:
        os.close(theirs)
        said = read_until(ours, b"try pressing enter")
        os.write(ours, b"hx\x7fi\r")
        said = read_until(ours, b"hx\b \bi\r\nhi\r\n")
        os.write(ours, b"\x04")
        assert kubectl.wait(30) == 0, said


def read_until(descriptor: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        said += os.read(descriptor, 1024)
    return said
