"""What HTTP handlers cost: requests, memory of idle pods, the way from apply to the first answer.

The same client asks a pod and a bare uvicorn, one after the other, in the same run.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all, pod_body
from benchmarks.measures import Subject
from benchmarks.memory import weigh
from kubekit.client import Api

FIRST_PORT: Final = 23000
CONCURRENCIES: Final = (1, 8, 64)
MEASURED_S: Final = 2.0
ROUNDS: Final = 5
WARM_UP_S: Final = 0.5
FEWEST: Final = 3
SETTLE_S: Final = 3.0
TIMEOUT_S: Final = 60.0
RETRY_S: Final = 0.001
MEBIBYTE: Final = 1024 * 1024
HELLO: Final = b"GET /hello HTTP/1.1\r\nHost: bench\r\n\r\n"
ECHO: Final = (
    b"POST /echo HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % MEBIBYTE + bytes(MEBIBYTE)
)
_END: Final = b"0\r\n\r\n"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One client with so many connections, each of which asks when it is answered."""

    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float


class HandlerFigures(msgspec.Struct, frozen=True, kw_only=True):
    pods: int
    first_answer_ms: float
    """From the request that creates the pod to its first 200: the median."""
    pss_per_pod_kb: int
    """Of idle pods that have answered once: the first process and one worker."""
    hello: list[Load]
    hello_reused: list[Load]
    """With one instance for a thousand requests."""
    mebibyte_echoed: list[Load]
    bare_hello: list[Load]


class _Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, spans: list[float]) -> None:
        self._request = request
        self._spans = spans
        self._answer = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._answer.clear()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self._whole():
            if not self._answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(bytes(self._answer[:200]))
            self._spans.append(time.perf_counter() - self._began)
            self._ask()

    def _whole(self) -> bool:
        if self._answer.endswith(_END):
            return True
        head = self._answer.find(b"\r\n\r\n")
        at = self._answer.find(b"content-length: ", 0, head)
        if head < 0 or at < 0:
            return False
        length = int(self._answer[at + 16 : self._answer.find(b"\r\n", at)])
        return len(self._answer) >= head + 4 + length


async def load(port: int, request: bytes, connections: int) -> Load:
    """Ask for a while."""
    loop, spans = asyncio.get_running_loop(), list[float]()
    made = [
        await loop.create_connection(lambda: _Asking(request, spans), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_S)
    spans.clear()
    began = time.perf_counter()
    while time.perf_counter() - began < MEASURED_S or len(spans) < FEWEST:  # noqa: ASYNC110 - a time
        await asyncio.sleep(MEASURED_S / 10)
    passed_s, seen = time.perf_counter() - began, sorted(spans)
    for _, protocol in made:
        protocol.transport.abort()
    return Load(
        connections=connections,
        requests_per_s=round(len(seen) / passed_s, 1),
        p50_ms=round(seen[len(seen) // 2] * 1000, 3),
        p99_ms=round(seen[len(seen) * 99 // 100] * 1000, 3),
    )


async def in_turns(ports: tuple[int, ...], request: bytes, connections: int) -> list[Load]:
    """Ask several servers one after another, several times; return the best of each.

    What else the machine does then weighs on all of them alike.
    """
    rounds = [[await load(each, request, connections) for each in ports] for _ in range(ROUNDS)]
    return [max(of_one, key=lambda one: one.requests_per_s) for of_one in zip(*rounds, strict=True)]


async def handler_figures(
    api: Api, watch: PodWatch, subject: Subject, root: int, pods: int
) -> HandlerFigures:
    """Start pods one by one, weigh them, ask the first one."""
    names = [f"handler-{number}" for number in range(pods)]
    spans = [
        await first_answer_s(api, body_of(name, subject, FIRST_PORT + number), FIRST_PORT + number)
        for number, name in enumerate(names)
    ]
    await asyncio.sleep(SETTLE_S)
    weights = weigh(root)
    port = FIRST_PORT
    reusing, bare = FIRST_PORT + pods, FIRST_PORT + pods + 1
    await first_answer_s(api, body_of("handler-reused", subject, reusing, reuse=1000), reusing)
    with bare_uvicorn(bare):
        hellos = [await in_turns((port, reusing, bare), HELLO, each) for each in CONCURRENCIES]
    echoed = [await load(port, ECHO, each) for each in CONCURRENCIES[:2]]
    await delete_all(api, [*names, "handler-reused"])
    await watch.reached(names, "Deleted", TIMEOUT_S)
    return HandlerFigures(
        pods=pods,
        first_answer_ms=round(statistics.median(spans) * 1000, 1),
        pss_per_pod_kb=round(weights.containers_pss_kb / pods),
        hello=[each[0] for each in hellos],
        hello_reused=[each[1] for each in hellos],
        bare_hello=[each[2] for each in hellos],
        mebibyte_echoed=echoed,
    )


def body_of(name: str, subject: Subject, port: int, *, reuse: int = 1) -> bytes:
    pod: dict[str, Any] = msgspec.json.decode(
        pod_body(name, subject.image, subject.node, subject.selector)
    )
    pod["metadata"]["annotations"] = {"wasmlet.dev/http-reuse": str(reuse)}
    pod["spec"]["hostNetwork"] = True
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    return msgspec.json.encode(pod)


async def first_answer_s(api: Api, body: bytes, port: int) -> float:
    """Create a pod and ask until it answers."""
    began = await create_all(api, [body])
    async with asyncio.timeout(TIMEOUT_S):
        while not await answers(port):  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(RETRY_S)
    return time.perf_counter() - began


async def answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(HELLO)
    line = await reader.readline()
    writer.close()
    return b" 200 " in line


@contextmanager
def bare_uvicorn(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "uvicorn", "benchmarks.barehttp:app", "--no-access-log"]
    command += ["--port", str(port), "--log-level", "error"]
    with subprocess.Popen(command) as process:
        try:
            _await_listening(port)
            yield
        finally:
            process.terminate()


def _await_listening(port: int) -> None:
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("uvicorn did not start")
