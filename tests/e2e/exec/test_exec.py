"""`kubectl exec` through the API server, as people and scripts use it."""

import os
import pty
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from subprocess import CompletedProcess

import pytest
from e2e.pods import Pods

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Kubectl = Callable[..., CompletedProcess[bytes]]
PROMPT_S = 5.0


def test_output_errors_and_exit_code(kubectl: Kubectl, commanded: str) -> None:
    done = kubectl("exec", commanded, "--", "commands", "out")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr == b"err\ncommand terminated with exit code 3\n"


def test_stdin_from_a_pipe_comes_back_whole(kubectl: Kubectl, commanded: str) -> None:
    content = os.urandom(3_000_000)
    done = kubectl("exec", "-i", commanded, "--", "commands", "echo", stdin=content)
    assert (done.returncode, done.stderr) == (0, b"")
    whole = done.stdout == content
    assert whole


def test_a_program_that_is_not_there(kubectl: Kubectl, commanded: str) -> None:
    done = kubectl("exec", commanded, "--", "sh")
    assert done.returncode == 1
    wanted = b'error executing command in container: exec: "sh": executable file not found in $PATH'
    assert wanted in done.stderr


def test_a_container_that_does_not_run(kubectl: Kubectl, pods: Pods) -> None:
    pods.run("waits", "registry.invalid/not-there:v1")
    pods.await_waiting("waits", "ImagePullBackOff", 60)
    done = kubectl("exec", "waits", "--", "commands", "out")
    assert done.returncode == 1
    assert b'container not found ("main")' in done.stderr


@pytest.mark.usefixtures("kubectl")
def test_a_terminal_edits_lines(control_plane: ControlPlane, pods: Pods, commanded: str) -> None:
    command = control_plane.kubectl.command(
        "exec", f"--namespace={pods.namespace}", "-it", commanded, "--", "commands", "echo"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as kubectl:
        os.close(theirs)
        os.write(ours, b"hx\x7fi\r")
        said = _read_until(ours, b"hi\r\nhi\r\n")
        os.write(ours, b"\x04")
        assert kubectl.wait(30) == 0, said
    os.close(ours)


def _read_until(descriptor: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said.replace(b"hx\x08 \x08i", b"hi"):
        said += os.read(descriptor, 1024)
    return said


def test_a_client_that_does_not_read_holds_up_nobody(
    control_plane: ControlPlane, kubectl: Kubectl, pods: Pods, commanded: str
) -> None:
    namespace = f"--namespace={pods.namespace}"
    flood = control_plane.kubectl.command("exec", namespace, commanded, "--", "commands", "flood")
    with ExitStack() as stalled:
        for _ in range(5):
            one = stalled.enter_context(subprocess.Popen(flood, stdout=subprocess.PIPE))
            stalled.callback(one.kill)
            assert one.stdout is not None
            assert one.stdout.read(1_000_000), "it floods, and is read no more"
        for _ in range(5):
            began = time.monotonic()
            done = kubectl("exec", "-i", commanded, "--", "commands", "echo", stdin=b"hello")
            assert done.stdout == b"hello"
            assert time.monotonic() - began < PROMPT_S
