"""What HTTP handlers cost: requests, memory of idle pods, the way from apply to the first answer.

The same client asks a pod, a bare uvicorn and, where it is on the path, `wasmtime serve`, one after
the other, in the same run.
"""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all, pod_body
from benchmarks.httpservers import bare_uvicorn, wasmtime_serve
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
    bare_mebibyte_echoed: list[Load]
    wasmtime_hello: list[Load] = []
    wasmtime_mebibyte_echoed: list[Load] = []


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """A component that says hello at a path, and sends back what is posted to `/echo`."""

    subject: Subject
    path: str = "/hello"
    file: Path | None = None
    """For `wasmtime serve`, which takes no part of an interface for the whole."""

    @property
    def hello(self) -> bytes:
        return f"GET {self.path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


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


async def in_turns(
    ports: tuple[int, ...], request: bytes, connections: int, rounds: int = ROUNDS
) -> list[Load]:
    """Ask several servers one after another, several times; return the best of each.

    What else the machine does then weighs on all of them alike.
    """
    loads = [[await load(each, request, connections) for each in ports] for _ in range(rounds)]
    return [max(of_one, key=lambda one: one.requests_per_s) for of_one in zip(*loads, strict=True)]


async def handler_figures(
    api: Api, watch: PodWatch, handler: Handler, root: int, pods: int
) -> HandlerFigures:
    """Start pods one by one, weigh them, ask the first one."""
    names = [f"handler-{number}" for number in range(pods)]
    spans = [
        await first_answer_s(api, handler, name, FIRST_PORT + number)
        for number, name in enumerate(names)
    ]
    await asyncio.sleep(SETTLE_S)
    weights = weigh(root)
    reusing, bare, serve = (FIRST_PORT + pods + n for n in range(3))
    await first_answer_s(api, handler, "handler-reused", reusing, reuse=1000)
    with bare_uvicorn(bare), wasmtime_serve(handler.file, serve) as there:
        beside = (bare, serve) if there else (bare,)
        ports = (FIRST_PORT, reusing, *beside)
        hellos = [await in_turns(ports, handler.hello, each) for each in CONCURRENCIES]
        ports = (FIRST_PORT, *beside)
        echoes = [await in_turns(ports, ECHO, each, rounds=1) for each in CONCURRENCIES]
    await delete_all(api, [*names, "handler-reused"])
    await watch.reached(names, "Deleted", TIMEOUT_S)
    return HandlerFigures(
        pods=pods,
        first_answer_ms=round(statistics.median(spans) * 1000, 1),
        pss_per_pod_kb=round(weights.containers_pss_kb / pods),
        hello=[each[0] for each in hellos],
        hello_reused=[each[1] for each in hellos],
        bare_hello=[each[2] for each in hellos],
        wasmtime_hello=[each[3] for each in hellos if there],
        mebibyte_echoed=[each[0] for each in echoes],
        bare_mebibyte_echoed=[each[1] for each in echoes],
        wasmtime_mebibyte_echoed=[each[2] for each in echoes if there],
    )


def body_of(name: str, subject: Subject, port: int, *, reuse: int = 1) -> bytes:
    pod: dict[str, Any] = msgspec.json.decode(
        pod_body(name, subject.image, subject.node, subject.selector)
    )
    pod["metadata"]["annotations"] = {"wasmlet.dev/http-reuse": str(reuse)}
    pod["spec"]["hostNetwork"] = True
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    return msgspec.json.encode(pod)


async def first_answer_s(
    api: Api, handler: Handler, name: str, port: int, *, reuse: int = 1
) -> float:
    """Create a pod and ask until it answers."""
    began = await create_all(api, [body_of(name, handler.subject, port, reuse=reuse)])
    async with asyncio.timeout(TIMEOUT_S):
        while not await answers(port, handler.hello):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(RETRY_S)
    return time.perf_counter() - began


async def answers(port: int, hello: bytes) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(hello)
    line = await reader.readline()
    writer.close()
    return b" 200 " in line
