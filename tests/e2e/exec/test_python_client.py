"""exec, attach and port-forward by the Python client's stream API, which speaks channels of v4."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods
from kubernetes import client, config
from kubernetes.stream import portforward, stream

from controlplane import ControlPlane

pytestmark = pytest.mark.usefixtures("wasmlet_up")
WITHIN_S = 30


@pytest.fixture
def core(control_plane: ControlPlane) -> Iterator[client.CoreV1Api]:
    kubeconfig = str(control_plane.admin_kubeconfig)
    connection = config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]  # it ships no types
    with connection:
        yield client.CoreV1Api(connection)


@contextmanager
def remote(method: Any, pod: str, namespace: str, **asked: Any) -> Iterator[Any]:
    """A stream; the client closes only what the server has not closed first."""
    opened = stream(
        method, pod, namespace, stdout=True, stderr=True, _preload_content=False, **asked
    )
    try:
        yield opened
    finally:
        opened.sock.shutdown()


def test_exec_gives_both_outputs_and_the_exit_code(
    core: client.CoreV1Api, pods: Pods, commanded: str
) -> None:
    method = core.connect_get_namespaced_pod_exec
    with remote(method, commanded, pods.namespace, command=["commands", "out"]) as out:
        out.run_forever(timeout=WITHIN_S)
        assert (out.read_stdout(), out.read_stderr(), out.returncode) == ("out\n", "err\n", 3)
    echo = {"command": ["commands", "echo"], "stdin": True}
    with remote(method, commanded, pods.namespace, **echo) as echoing:
        echoing.write_stdin("hello")
        said = ""
        while said != "hello":  # the first message is empty: it says that the connection stands
            said += echoing.read_stdout(timeout=WITHIN_S)
            assert "hello".startswith(said)


def test_attach_shows_what_is_said(core: client.CoreV1Api, pods: Pods, images: Images) -> None:
    pods.run("counts", images.push(guests.counts(20), "counts"))
    pods.await_phase("counts", "Running")
    method = core.connect_get_namespaced_pod_attach
    with remote(method, "counts", pods.namespace) as attached:
        first, second = (attached.readline_stdout(timeout=WITHIN_S) for _ in range(2))
    assert int(second.split()[1]) == int(first.split()[1]) + 1


def test_a_forwarded_port_answers_and_a_foreign_one_says_why(
    core: client.CoreV1Api, pods: Pods, web: str, port: int
) -> None:
    foreign = 1
    forward = portforward(
        core.connect_get_namespaced_pod_portforward,
        web,
        pods.namespace,
        ports=f"{port},{foreign}",
    )
    with closing(forward.socket(port)) as connection:
        connection.settimeout(WITHIN_S)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while piece := connection.recv(4096):
            said += piece
    assert said.startswith(b"HTTP/1.0 200 OK")
    with closing(forward.socket(foreign)) as connection:
        connection.settimeout(WITHIN_S)
        assert connection.recv(1) == b""
    assert f"error forwarding port {foreign} to pod web" in forward.error(foreign)
    forward.websocket.shutdown()
