"""A log-server with everybody that it talks to, for the length of a test."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from log_server_cluster import Cluster, serving
from log_server_peers import ExecutorPeer, Peers, cancelled_tasks, peers_on
from log_server_pki import Authority

from contract.ids import NodeName
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from log_server.app import LogServer
from log_server.kube import api_server
from log_server.listener import Listener
from log_server.settings import LogServerSettings
from servicekit.bus import connected

NODE = NodeName("n1")
OTHER = NodeName("n2.example")
LOGS = "/containerLogs/default/p/c"

FAST: dict[str, Any] = {
    "kubelet_port": 0,
    "bind_address": "127.0.0.1",
    "node_address": "10.1.2.3",
    "announce_interval_s": 0.1,
    "grants_retry_s": 0.05,
    "client_ca_interval_s": 0.1,
    "review_timeout_s": 1.0,
    "ping_timeout_s": 0.5,
    "open_patience_s": 0.5,
    "stream_patience_s": 10.0,
    "follow_wait_s": 1.0,
}


class World:
    """What a test sees of it."""

    def __init__(
        self, server: LogServer, peers: Peers, cluster: Cluster, clients: Authority
    ) -> None:
        self.server = server
        self.peers = peers
        self.cluster = cluster
        self.clients = clients

    @property
    def executor(self) -> ExecutorPeer:
        return self.peers.executors[NODE]

    def listener(self, node: NodeName = NODE) -> Listener:
        return self.server.listeners[node]

    def client(
        self, *, token: str = "", certificate: Path | None = None, node: NodeName = NODE
    ) -> httpx.AsyncClient:
        """A client of one node's port."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{self.listener(node).port}",
            headers=headers,
            verify=trusting(certificate),
            trust_env=False,
            timeout=20,
        )

    def admin(self) -> httpx.AsyncClient:
        """A client that may do everything."""
        return self.client(token="admin-token")


def trusting(certificate: Path | None = None) -> ssl.SSLContext:
    """A context of a client that looks at the server's certificate itself, if at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def shown_certificate(port: int) -> bytes:
    """The DER form of what a listener shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        trusting().wrap_socket(plain, server_hostname="n1") as secured,
    ):
        certificate = secured.getpeercert(binary_form=True)
    assert certificate
    return certificate


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody uses."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        try:
            for port in range(first, first + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except (OSError, OverflowError):
            continue
        return first


async def eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def world(
    folder: Path, *, nodes: tuple[NodeName, ...] = (NODE,), kube: bool = True, **settings: Any
) -> AsyncIterator[World]:
    """Everything up, every listener serving."""
    clients = Authority(folder)
    cluster = Cluster(clients.pem)
    async with AsyncExitStack() as stack:
        nats = stack.enter_context(EmbeddedNats(folder / "nats", [NODE, OTHER]))
        peers = await stack.enter_async_context(peers_on(nats, list(nodes)))
        kubeconfig = await stack.enter_async_context(serving(cluster, folder))
        told = LogServerSettings(
            nats_url=nats.url,
            nats_password_file=nats.password_file(Role.LOG_SERVER),
            kubeconfig=str(kubeconfig) if kube else "",
            **{**FAST, **settings},
        )
        server = await stack.enter_async_context(running(told))
        await eventually(lambda: len(server.listeners) == len(nodes) and not server.unready())
        yield World(server, peers, cluster, clients)


@asynccontextmanager
async def running(settings: LogServerSettings) -> AsyncIterator[LogServer]:
    """A log-server without its process."""
    async with (
        connected(settings, Role.LOG_SERVER) as bus,
        api_server(settings) as api,
        cancelled_tasks() as tasks,
    ):
        server = LogServer(bus, api, settings)
        tasks.create_task(server.run())
        yield server
