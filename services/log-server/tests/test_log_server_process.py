"""`python -m log_server` as a process: its start, its end, its admin port."""

import asyncio
import re
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from log_server_cluster import Cluster, serving
from log_server_peers import Peers, peers_on
from log_server_pki import Authority
from log_server_world import LOGS, NODE, eventually, trusting

from contract.subjects import Role
from embedded_nats import EmbeddedNats

_ADMIN = re.compile(r'"port": (\d+).*"event": "admin.listening"')


class Running:
    """The process and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def admin_port(self) -> int:
        assert self.process.stdout
        while not (match := _ADMIN.search(self.said)):
            line = await asyncio.wait_for(self.process.stdout.readline(), 20)
            assert line, self.said
            self.said += line.decode()
        return int(match[1])

    async def end(self, number: signal.Signals | None = signal.SIGTERM) -> int:
        """Its exit code."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = await asyncio.wait_for(self.process.communicate(), 10)
        self.said += out.decode()
        return self.process.returncode or 0


@asynccontextmanager
async def started(nats: EmbeddedNats, settings: Mapping[str, str]) -> AsyncIterator[Running]:
    """The process; killed if the test leaves it."""
    told = {
        "WASMLET_NATS_URL": nats.url,
        "WASMLET_NATS_PASSWORD_FILE": str(nats.password_file(Role.LOG_SERVER)),
        "WASMLET_KUBELET_PORT": "0",
        "WASMLET_LOG_FORMAT": "json",
        "WASMLET_ANNOUNCE_INTERVAL_S": "0.1",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "log_server",
        env=told,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def announced_port(peers: Peers) -> int:
    await eventually(lambda: NODE in peers.control.announced, within_s=20)
    return peers.control.announced[NODE].port


async def test_sigterm_ends_it_with_readers_and_without_a_bus(tmp_path: Path) -> None:
    cluster = Cluster(Authority(tmp_path).pem)
    with EmbeddedNats(tmp_path / "nats", [NODE]) as nats:
        async with (
            peers_on(nats, [NODE]) as peers,
            serving(cluster, tmp_path) as kubeconfig,
            started(nats, {"WASMLET_KUBECONFIG": str(kubeconfig)}) as running,
            httpx.AsyncClient(
                verify=trusting(), trust_env=False, headers={"Authorization": "Bearer admin-token"}
            ) as client,
        ):
            host = f"https://127.0.0.1:{await announced_port(peers)}"
            assert (await client.get(f"{host}/healthz")).text == "ok"
            peers.executors[NODE].log("c").write("one")
            async with client.stream("GET", f"{host}{LOGS}?follow=true") as answer:
                assert await anext(answer.aiter_raw()) == b"one\n"
                nats.kill()
                assert await running.end() == 0
            assert "Traceback" not in running.said
            assert "service.stopped" in running.said


def connecting_anew() -> httpx.AsyncClient:
    """A connection for each request: one that waits for its next may be closed by then."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(verify=trusting(), trust_env=False, limits=limits)


async def test_its_admin_port_says_whether_it_can_work(tmp_path: Path) -> None:
    cluster = Cluster(Authority(tmp_path).pem)
    cluster.away = True
    with EmbeddedNats(tmp_path / "nats", [NODE]) as nats:
        async with (
            peers_on(nats, [NODE]) as peers,
            serving(cluster, tmp_path) as kubeconfig,
            started(
                nats,
                {
                    "WASMLET_KUBECONFIG": str(kubeconfig),
                    "WASMLET_REVIEW_TIMEOUT_S": "0.3",
                    "WASMLET_API_CHECK_INTERVAL_S": "0.1",
                },
            ) as running,
            connecting_anew() as client,
        ):
            admin = f"http://127.0.0.1:{await running.admin_port()}"
            port = await announced_port(peers)  # a cluster that is away does not stop it
            assert (await client.get(f"https://127.0.0.1:{port}/healthz")).text == "ok"
            assert (await client.get(f"{admin}/healthz")).status_code == 200
            assert (await client.get(f"{admin}/readyz")).status_code == 503
            cluster.away = False
            async with asyncio.timeout(10):
                while (await client.get(f"{admin}/readyz")).status_code != 200:
                    await asyncio.sleep(0.02)
            await client.get(f"https://127.0.0.1:{port}/../pods")
            metrics = (await client.get(f"{admin}/metrics")).text
            wanted = 'http_requests_total{code="200",method="GET",path="healthz"} 1.0'
            assert f"wasmlet_kubelet_{wanted}" in metrics
            assert 'wasmlet_kubelet_authentications_total{result="none"} 1.0' in metrics
            assert "wasmlet_log_streams 0.0" in metrics
            assert "wasmlet_kubelet_listeners 1.0" in metrics
            pid = running.process.pid
            assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            assert soft == hard
            assert await running.end() == 0


async def test_at_rest_it_has_loaded_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """By far the largest service: a validated parameter alone loads all of pydantic's version 1."""
    with EmbeddedNats(tmp_path / "nats", [NODE]) as nats:
        told = {"WASMLET_HEALTHZ_PORT": str(free_port()), "PYTHONPROFILEIMPORTTIME": "1"}
        async with peers_on(nats, [NODE]) as peers, started(nats, told) as running:
            await running.admin_port()
            await announced_port(peers)
            await running.end()
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", running.said, re.MULTILINE))
    assert {"fastapi", "pydantic", "uvicorn.protocols.http.h11_impl"} < loaded
    assert loaded & {"pydantic.v1", "httptools", "opentelemetry.sdk", "kubernetes"} == set()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


async def test_a_wrong_setting_is_one_line_and_code_2(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats", [NODE]) as nats:
        async with started(nats, {"WASMLET_KUBELET_PORTS": "1"}) as running:
            assert await running.end(None) == 2
            assert running.said == "log-server: unknown setting WASMLET_KUBELET_PORTS\n"
        async with started(nats, {"WASMLET_TLS_CERT_FILE": "tls.crt"}) as running:
            assert await running.end(None) == 2
            assert "WASMLET_CERTIFICATE_MODE=files goes with" in running.said


async def test_what_cannot_work_is_one_line_and_code_1(tmp_path: Path) -> None:
    kubeconfig = {"WASMLET_KUBECONFIG": str(tmp_path / "none")}
    files = {
        "WASMLET_NODE_NAMES": "n1",
        "WASMLET_CERTIFICATE_MODE": "files",
        "WASMLET_TLS_CERT_FILE": str(tmp_path / "tls.crt"),
        "WASMLET_TLS_PRIVATE_KEY_FILE": str(tmp_path / "tls.key"),
    }
    with (
        EmbeddedNats(tmp_path / "nats", [NODE]) as nats,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port = str(taken.getsockname()[1])
        for settings, reason in (
            ({"WASMLET_NODE_NAMES": "n1", "WASMLET_KUBELET_PORT": port}, "cannot listen on"),
            (kubeconfig, "kubeconfig"),
            ({"WASMLET_NODE_ADDRESS": "node-1"}, "WASMLET_NODE_ADDRESS"),
            (files, "tls.crt cannot be read: No such file"),
        ):
            async with started(nats, settings) as running:
                assert await running.end(None) == 1, running.said
                assert '"event": "service.failed"' in running.said
                assert reason in running.said
                assert "Traceback" not in running.said
