"""A crowd at a node's port: what stands there for hours delays neither its heartbeat nor its logs.

A thousand connections at rest, two hundred who follow a loud pod and do not read, fifty who drip
their request's head, and heads of ten megabytes.
"""

import http.client
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part
from e2e.api import Api
from e2e.expectations import eventually
from e2e.faults import SHORT, ready_since
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined
from e2e.waits import is_held_up, slowest_read_s

from controlplane import ControlPlane, Registry

NODE = "crowded"
AT_REST, STALLED, DRIPPING, LARGE = 1000, 200, 50, 5
RENEWALS = 8
RENEWALS_SLOWER = 2.0
"""At most, than in the minute before: the crowd's other end is on this machine as well."""
MOST_KB_AT_REST, MOST_KB_STALLED = 100, 1300
"""Of one connection: TLS; and two chunks of 256 KiB at most, with TLS' and uvloop's buffers."""
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"
HEAD = b"GET /pods HTTP/1.1\r\nHost: n\r\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # 1,250 handshakes, both ends here


class Pace(NamedTuple):
    """Seconds: of some renewals of the Lease, and of the slowest of three reads of a log."""

    renewals_s: float
    logs_s: float


@pytest.fixture
def node(
    control_plane: ControlPlane, api: Api, registry: Registry, tmp_path: Path
) -> Iterator[RunningWasmlet]:
    with joined(
        control_plane,
        api,
        tmp_path / "up",
        node_name=NODE,
        registries=[registry.host],
        settings={"log-server:HEADER_TIMEOUT_S": 300},  # whoever drips may stay
        options=SHORT,
    ) as node:
        yield node


@pytest.fixture
def talking(node: RunningWasmlet, pods: Pods, images: Images) -> Pods:
    """A pod that has written 41 MB and goes on running, and one that has said a word."""
    for name, module, phase in (
        ("loud", guests.talks(), "Running"),
        ("quiet", guests.prints("hello\n"), "Succeeded"),
    ):
        manifest = pod(name, images.push(module, f"{NODE}-{name}"))
        manifest["spec"]["nodeName"] = node.nodes[0]
        pods.create(manifest)
        pods.await_phase(name, phase)
    return pods


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process may have: the crowd's other end is here."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("descriptors")
def test_neither_the_heartbeat_nor_another_pods_log_notices_a_crowd(
    control_plane: ControlPlane, api: Api, node: RunningWasmlet, talking: Pods
) -> None:
    since = ready_since(api, NODE)
    alone = pace(api, talking)
    crowd, server = Crowd(control_plane, api), Anatomy(node).get(Part.LOG_SERVER)
    with ExitStack() as standing:
        weights_kb = [server.pss_kb]
        crowd.rest(standing)
        weights_kb.append(server.pss_kb)
        crowd.stall(standing, talking.namespace)
        weights_kb.append(server.pss_kb)
        standing.enter_context(crowd.dripping())
        crowd.send_large_heads()
        crowded = pace(api, talking)
        weights_kb.append(server.pss_kb)
        assert server.lives, "what has ended weighs nothing"
    print(f"alone {alone}, in the crowd {crowded}; memory {weights_kb}")  # noqa: T201 - shown with -s
    empty_kb, rested_kb, stalled_kb, whole_kb = weights_kb
    assert rested_kb - empty_kb < AT_REST * MOST_KB_AT_REST
    assert stalled_kb - rested_kb < STALLED * MOST_KB_STALLED
    assert whole_kb - rested_kb < STALLED * MOST_KB_STALLED + DRIPPING * MOST_KB_AT_REST
    assert crowded.renewals_s < RENEWALS_SLOWER * alone.renewals_s
    assert not is_held_up(crowded.logs_s, alone.logs_s)
    assert ready_since(api, NODE) == since


def pace(api: Api, pods: Pods) -> Pace:
    began = time.monotonic()
    renewals = set[str]()

    def renewed() -> bool:
        renewals.add(api.get(LEASE)["spec"]["renewTime"])
        return len(renewals) > RENEWALS

    assert eventually(renewed, 120)
    renewals_s = time.monotonic() - began
    return Pace(renewals_s, slowest_read_s(pods))


class Crowd:
    """Clients of the node's own port, as the administrator."""

    def __init__(self, plane: ControlPlane, api: Api) -> None:
        status = api.get(f"/api/v1/nodes/{NODE}")["status"]
        self._host = next(
            each["address"] for each in status["addresses"] if each["type"] == "InternalIP"
        )
        self._port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # self-signed
        self._context.load_cert_chain(plane.admin.certificate, plane.admin.key)

    def rest(self, standing: ExitStack) -> None:
        for _ in range(AT_REST):
            standing.enter_context(self._connected())

    def stall(self, standing: ExitStack, namespace: str) -> None:
        for _ in range(STALLED):
            connection = http.client.HTTPSConnection(
                self._host, self._port, context=self._context, timeout=60
            )
            standing.enter_context(closing(connection))
            connection.request("GET", f"/containerLogs/{namespace}/loud/main?follow=true")
            assert connection.getresponse().read(1000), "it is read no more"

    @contextmanager
    def dripping(self) -> Iterator[None]:
        """Each sends a byte of its head in a while, and has more to send than anybody waits for."""
        over = threading.Event()
        with ExitStack() as stack:
            clients = [stack.enter_context(self._connected()) for _ in range(DRIPPING)]

            def drip() -> None:
                for byte in HEAD * 1000:
                    for client in clients:
                        client.send(bytes([byte]))
                    if over.wait(0.1):
                        return

            thread = threading.Thread(target=drip, daemon=True)
            thread.start()
            try:
                yield
                assert thread.is_alive(), "somebody who drips was let go"
            finally:
                over.set()
                thread.join()

    def send_large_heads(self) -> None:
        """The server reads no more of each than it allows, answers 431, and closes."""
        answers = [self._answer_to(HEAD + b"X: " + b"x" * 10_000_000) for _ in range(LARGE)]
        assert any(answers), "it may close before it is heard, but not every time"
        assert all(not said or said.startswith(b"HTTP/1.1 431 ") for said in answers), answers

    def _answer_to(self, head: bytes) -> bytes:
        said = b""
        with self._connected() as client:
            with suppress(OSError):  # it has closed before all was sent
                client.sendall(head)
            with suppress(OSError):
                said = client.recv(100)
        return said

    @contextmanager
    def _connected(self) -> Iterator[ssl.SSLSocket]:
        plain = socket.create_connection((self._host, self._port), timeout=60)
        with self._context.wrap_socket(plain) as client:
            yield client
