"""How fast `kubectl logs` brings the log of one pod, through API server and log-server."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all, pod_body
from benchmarks.measures import Subject
from controlplane.kubectl import Kubectl
from kubekit.client import Api

TALKER_BYTES: Final = 640 * 64000
WRITTEN_TIMEOUT_S: Final = 120


class LogFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One pod's log, megabytes (10^6 bytes) per second: written by the guest, read by kubectl."""

    bytes: int
    written_mb_per_s: float
    kubectl_mb_per_s: float


async def log_throughput(
    api: Api, watch: PodWatch, subject: Subject, kubectl: Kubectl, logs: Path
) -> LogFigures:
    """Let a guest write 41 MB, then read it whole with kubectl."""
    name = f"{subject.label}-talker"
    await create_all(api, [pod_body(name, subject.image, subject.node, subject.selector)])
    running = await watch.reached([name], "Running", 30)
    written = await asyncio.to_thread(await_written, logs, name) - running
    read, seconds = await asyncio.to_thread(read_with, kubectl.command("logs", name))
    await delete_all(api, [name])
    await watch.reached([name], "Deleted", 60)
    if read != TALKER_BYTES:
        raise RuntimeError(f"kubectl logs brought {read} of {TALKER_BYTES} bytes")
    return LogFigures(
        bytes=read,
        written_mb_per_s=round(TALKER_BYTES / max(written, 0.001) / 1e6, 1),
        kubectl_mb_per_s=round(read / seconds / 1e6, 1),
    )


def await_written(logs: Path, pod: str) -> float:
    """Return when the guest's whole log is on disk."""
    deadline = time.perf_counter() + WRITTEN_TIMEOUT_S
    while time.perf_counter() < deadline:
        files = logs.glob(f"pods/*_{pod}_*/main/*")
        if sum(file.stat().st_size for file in files) > TALKER_BYTES:
            return time.perf_counter()
        time.sleep(0.005)
    raise TimeoutError("the guest did not write its log")


def read_with(command: list[str]) -> tuple[int, float]:
    """Return how many bytes a command prints, and how long it takes."""
    started = time.perf_counter()
    total = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 20):
            total += len(chunk)
    return total, time.perf_counter() - started
