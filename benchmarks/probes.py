"""What probes cost: many pods, each asked twice a second over HTTP.

One probe asks the pod's own guest, which listens; the other asks a server of this process, which
writes down when it was asked: the spread of these intervals is the probes' jitter.
"""

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all, pod_body
from benchmarks.measures import Subject
from benchmarks.memory import supervisor_pid
from kubekit.client import Api

FIRST_PORT: Final = 21000
PERIOD_S: Final = 1
SETTLE_S: Final = 3.0
START_TIMEOUT_S: Final = 120
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ProbeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of the supervisor's CPU per probe; jitter is the intervals' standard deviation.

    The guests answer half of the probes; their own CPU is not in it.
    """

    pods: int
    probes_per_s: float
    supervisor_cpu_percent: float
    cpu_ms_per_probe: float
    jitter_ms: float
    worst_interval_ms: float


class Arrivals:
    """A server that answers every request and remembers when each path was asked for."""

    def __init__(self) -> None:
        self.at: dict[bytes, list[float]] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.at.setdefault(head.split(b" ", 2)[1], []).append(time.perf_counter())
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    def intervals_ms(self) -> list[float]:
        """Return the time between two probes of one pod, of all pods."""
        return [
            (later - earlier) * 1000
            for times in self.at.values()
            for earlier, later in itertools.pairwise(times)
        ]


async def probe_costs(
    api: Api, watch: PodWatch, subject: Subject, root: int, *, pods: int, seconds: float
) -> ProbeFigures:
    """Start pods, let their probes settle, measure for a while, delete them."""
    names = [f"{subject.label}-probed-{number}" for number in range(pods)]
    async with serving() as (arrivals, port):
        bodies = [_body(name, subject, number, port) for number, name in enumerate(names)]
        await create_all(api, bodies)
        await watch.reached(names, "Running", START_TIMEOUT_S)
        await asyncio.sleep(SETTLE_S)
        arrivals.at.clear()
        pid = supervisor_pid(root)
        before = _cpu_s(pid)
        await asyncio.sleep(seconds)
        spent = _cpu_s(pid) - before
        intervals = arrivals.intervals_ms()
    await delete_all(api, names)
    await watch.reached(names, "Deleted", START_TIMEOUT_S)
    probes = 2 * pods * seconds / PERIOD_S
    return ProbeFigures(
        pods=pods,
        probes_per_s=round(probes / seconds, 1),
        supervisor_cpu_percent=round(100 * spent / seconds, 1),
        cpu_ms_per_probe=round(1000 * spent / probes, 3),
        jitter_ms=round(statistics.pstdev(intervals), 1),
        worst_interval_ms=round(max(intervals), 1),
    )


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Arrivals, int]]:
    """Give a server on loopback and its port."""
    arrivals = Arrivals()
    server = await asyncio.start_server(arrivals.answer, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield arrivals, server.sockets[0].getsockname()[1]


def _body(name: str, subject: Subject, number: int, server_port: int) -> bytes:
    pod: dict[str, Any] = msgspec.json.decode(
        pod_body(name, subject.image, subject.node, subject.selector)
    )
    port = FIRST_PORT + number
    timing = {"periodSeconds": PERIOD_S, "timeoutSeconds": 1, "failureThreshold": 100}
    asked = {"host": "127.0.0.1", "port": server_port, "path": f"/{name}"}
    pod["spec"]["containers"][0] |= {
        "args": [str(port)],
        "readinessProbe": {"httpGet": {"port": port}, **timing},
        "livenessProbe": {"httpGet": asked, **timing},
    }
    return msgspec.json.encode(pod)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
