"""`kubectl port-forward` to a guest that listens, and to nothing else."""

import re
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest
from e2e.pods import Pods

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
type Kubectl = Callable[..., CompletedProcess[bytes]]
REQUESTS = 100


@contextmanager
def forwarded(plane: ControlPlane, pods: Pods, port: int) -> Iterator[tuple[str, list[str]]]:
    """The address that kubectl opens, and what it says on stderr so far."""
    namespace = f"--namespace={pods.namespace}"
    command = plane.kubectl.command("port-forward", namespace, "web", f":{port}")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as kubectl:
        assert kubectl.stdout is not None
        assert kubectl.stderr is not None
        said: list[str] = []
        listening = threading.Thread(target=said.extend, args=(kubectl.stderr,))
        listening.start()
        try:
            found = re.search(r"127\.0\.0\.1:\d+", kubectl.stdout.readline())
            assert found, said
            yield found[0], said
        finally:
            kubectl.terminate()
            listening.join()


def asked(address: str) -> int:
    with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
        status: int = answer.status
        return status


@pytest.mark.usefixtures("kubectl", "web")
def test_many_requests_side_by_side(control_plane: ControlPlane, pods: Pods, port: int) -> None:
    with forwarded(control_plane, pods, port) as (address, said):
        with ThreadPoolExecutor(20) as clients:
            assert set(clients.map(asked, [address] * REQUESTS)) == {200}
        assert said == []


@pytest.mark.usefixtures("kubectl", "web")
def test_a_port_that_is_not_the_pods_own(control_plane: ControlPlane, pods: Pods) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        with forwarded(control_plane, pods, port) as (address, said), pytest.raises(OSError):  # noqa: PT011 - any: the connection ends
            asked(address)
    assert f"port {port} is not held by a process of this pod" in "".join(said)
    assert f"error forwarding port {port} to pod web" in "".join(said)
