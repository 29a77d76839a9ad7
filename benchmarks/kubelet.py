"""The kubelet port through the API server: logs, exec and port-forward, and what bare servers do.

Each figure stands beside one of the same kind that wasmlet has no part in, taken in the same run:
kubectl reading as much from a static server, a GET of the API server for exec, and the
guest's own port for port-forward.
"""

import asyncio
import re
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
import msgspec

from benchmarks.barekubelet import bare_kubelet
from benchmarks.cluster import NAMESPACE, PODS, PodWatch, create_all, delete_all, pod_body
from benchmarks.logs import TALKER_BYTES, await_written, read_with
from benchmarks.measures import Subject
from controlplane import ControlPlane
from controlplane.ports import free_ports
from kubekit.client import Api
from kubekit.kubeconfig import read_kubeconfig
from kubekit.tls import make_context

SOURCE_BLOCKS: Final = 20_000
SOURCE_BYTES: Final = SOURCE_BLOCKS * 4096
START_TIMEOUT_S: Final = 60
WARM_UP: Final = 3
_REPEATS: Final = 3
_ANSWER: Final = "(else (call $send (local.get $out) (i32.const 96) (i32.const 41))))"
_FLOOD: Final = f"""(else (local.set $left (i32.const {SOURCE_BLOCKS}))
        (loop $more
          (call $send (local.get $out) (i32.const 65536) (i32.const 4096))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $more (local.get $left)))))"""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Megabytes (10^6 bytes) per second, the best of three."""

    bytes: int
    mb_per_s: float
    bare_mb_per_s: float | None = None
    bare_kubelet_mb_per_s: float | None = None
    """As much from a static server in the kubelet's place, behind the same API server."""


class ExecFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from a new connection to the status of a command that ends at once."""

    execs: int
    p50_ms: float
    p95_ms: float
    bare_get_p50_ms: float


class KubeletFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What went through the kubelet port."""

    logs: Rate
    logs_without_kubectl: Rate
    logs_side_by_side: Rate
    exec: ExecFigures
    port_forward: Rate


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is measured."""

    api: Api
    watch: PodWatch
    plane: ControlPlane
    logs: Path


def source_guest(listener: str) -> str:
    """Return the text of a listener that answers with 82 MB."""
    if _ANSWER not in listener:
        raise RuntimeError("the listener is not as it was")
    begins = "(func $serve (result i32)"
    return listener.replace(_ANSWER, _FLOOD).replace(begins, f"{begins} (local $left i32)")


async def kubelet_figures(
    place: Place, talker: Subject, asked: Subject, source: Subject, *, followers: int, execs: int
) -> KubeletFigures:
    """Measure one after the other."""
    name = "bench-talker"
    await create_all(place.api, [pod_body(name, talker.image, talker.node, talker.selector)])
    await place.watch.reached([name], "Running", START_TIMEOUT_S)
    await asyncio.to_thread(await_written, place.logs, name)
    async with bare_kubelet(place.plane, place.api, TALKER_BYTES) as bare:
        logs = await asyncio.to_thread(_logs, place.plane, name, bare)
    alone = await _side_by_side(place.plane, name, 1)
    crowd = await _side_by_side(place.plane, name, followers)
    await _delete(place, name)
    return KubeletFigures(
        logs=logs,
        logs_without_kubectl=alone,
        logs_side_by_side=crowd,
        exec=await _execs(place, asked, execs),
        port_forward=await _port_forward(place, source),
    )


def _logs(plane: ControlPlane, name: str, bare_name: str) -> Rate:
    """Read by turns from either node: what else the machine does slows both."""
    spans, bare_spans = [], []
    for _ in range(_REPEATS):
        spans.append(_read(plane, name))
        bare_spans.append(_read(plane, bare_name))
    with _static_server(plane) as url:
        command = plane.kubectl.command("logs", name, f"--server={url}")
        command.append("--insecure-skip-tls-verify")
        bare = min(read_with(command)[1] for _ in range(_REPEATS))
    rate = _rate(TALKER_BYTES, min(spans), bare)
    behind = _rate(TALKER_BYTES, min(bare_spans)).mb_per_s
    return msgspec.structs.replace(rate, bare_kubelet_mb_per_s=behind)


def _read(plane: ControlPlane, name: str) -> float:
    read, seconds = read_with(plane.kubectl.command("logs", name))
    if read != TALKER_BYTES:
        raise RuntimeError(f"kubectl logs brought {read} of {TALKER_BYTES} bytes")
    return seconds


async def _side_by_side(plane: ControlPlane, name: str, followers: int) -> Rate:
    """Read one log by many connections at once, each to its end."""
    async with _session(plane) as (session, server):

        async def read() -> int:
            total = 0
            async with session.get(f"{server}{PODS}/{name}/log") as answer:
                async for piece in answer.content.iter_any():
                    total += len(piece)
            return total

        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(read(), name="reader") for _ in range(followers)]
        seconds = time.perf_counter() - started
    total = sum(each.result() for each in reading)
    if total != followers * TALKER_BYTES:
        raise RuntimeError(f"{followers} readers got {total} bytes")
    return _rate(total, seconds)


async def _execs(place: Place, subject: Subject, count: int) -> ExecFigures:
    name = "bench-asked"
    await create_all(place.api, [pod_body(name, subject.image, subject.node, subject.selector)])
    await place.watch.reached([name], "Running", START_TIMEOUT_S)
    spans, bare = [], []
    for _ in range(count + WARM_UP):
        spans.append(await _exec(place.plane, name))
        bare.append(await _get(place.plane))
    await _delete(place, name)
    spans, bare = sorted(spans[WARM_UP:]), sorted(bare[WARM_UP:])
    return ExecFigures(
        execs=count,
        p50_ms=round(1000 * statistics.median(spans), 1),
        p95_ms=round(1000 * spans[int(count * 0.95)], 1),
        bare_get_p50_ms=round(1000 * statistics.median(bare), 1),
    )


async def _exec(plane: ControlPlane, name: str) -> float:
    query = urlencode([("command", "asked"), ("command", "?"), ("stdout", 1), ("stderr", 1)])
    async with _session(plane) as (session, server):
        started = time.perf_counter()
        url = f"{server}{PODS}/{name}/exec?{query}"
        async with session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as socket_:
            said = [message.data async for message in socket_]
        seconds = time.perf_counter() - started
    if not any(each[:1] == b"\x03" and b"Success" in each for each in said):
        raise RuntimeError(f"the command said {said}")
    return seconds


async def _get(plane: ControlPlane) -> float:
    async with _session(plane) as (session, server):
        started = time.perf_counter()
        async with session.get(f"{server}/api/v1/namespaces/{NAMESPACE}") as answer:
            await answer.read()
        return time.perf_counter() - started


async def _port_forward(place: Place, subject: Subject) -> Rate:
    name, (port,) = "bench-source", free_ports(1)
    pod = msgspec.json.decode(pod_body(name, subject.image, subject.node, subject.selector))
    pod["spec"]["hostNetwork"] = True
    main = pod["spec"]["containers"][0]
    main |= {"args": [str(port)], "ports": [{"containerPort": port}]}
    main["startupProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    await create_all(place.api, [msgspec.json.encode(pod)])
    await place.watch.reached([name], "Running", START_TIMEOUT_S)
    forwarded, own = await asyncio.to_thread(_downloads, place.plane, name, port)
    await _delete(place, name)
    return _rate(SOURCE_BYTES, forwarded, own)


def _downloads(plane: ControlPlane, name: str, port: int) -> tuple[float, float]:
    command = plane.kubectl.command("port-forward", name, f":{port}")
    _until_served(port)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as kubectl:
        assert kubectl.stdout is not None
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", kubectl.stdout.readline())
            assert found
            spans = [_download(int(found[1])) for _ in range(_REPEATS)]
        finally:
            kubectl.terminate()
    return min(spans), min(_download(port) for _ in range(_REPEATS))


def _until_served(port: int) -> None:
    """The probe's own connections have their answers first: this guest serves one at a time."""
    _download(port)


def _download(port: int) -> float:
    started, total = time.perf_counter(), 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while piece := connection.recv(1 << 18):
            total += len(piece)
    if total != SOURCE_BYTES:
        raise RuntimeError(f"{total} of {SOURCE_BYTES} bytes came")
    return time.perf_counter() - started


@contextmanager
def _static_server(plane: ControlPlane) -> Iterator[str]:
    """An API server whose logs are there already."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.static", str(port)]
    command += [str(plane.admin_kubeconfig), str(TALKER_BYTES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield f"https://127.0.0.1:{port}"
        finally:
            process.terminate()


@asynccontextmanager
async def _session(plane: ControlPlane) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Connections of their own, as the administrator."""
    connection = read_kubeconfig(plane.admin_kubeconfig)
    context: ssl.SSLContext = make_context(connection)
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    limits = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        yield session, connection.server


async def _delete(place: Place, name: str) -> None:
    await delete_all(place.api, [name])
    await place.watch.reached([name], "Deleted", START_TIMEOUT_S)


def _rate(size: int, seconds: float, bare: float | None = None) -> Rate:
    return Rate(
        bytes=size,
        mb_per_s=round(size / seconds / 1e6, 1),
        bare_mb_per_s=None if bare is None else round(size / bare / 1e6, 1),
    )
