"""The figures: start one by one, start in a burst, status writes, and what deletion takes."""

import math
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from benchmarks.cluster import (
    PodWatch,
    create_all,
    delete_all,
    pod_body,
    status_writes,
)
from kubekit.client import Api

WARM_UP: Final = 3
START_TIMEOUT_S: Final = 30
BURST_TIMEOUT_S: Final = 300
DEFAULT_GRACE_S: Final = 30


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Who is measured: the node, and how the scheduler finds it."""

    label: str
    node: str
    image: str
    selector: Mapping[str, str]


class StartFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Creation to Running seen by a watch, one pod at a time, in milliseconds."""

    pods: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    most_ms: float
    status_writes_per_pod: float


class DeletionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The DELETE of a running pod to its disappearance seen by a watch, in milliseconds."""

    pods: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class BurstFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Many pods at once through the scheduler."""

    pods: int
    seconds: float
    pods_per_s: float
    status_writes_per_pod: float


async def start_one_by_one(api: Api, watch: PodWatch, subject: Subject, pods: int) -> StartFigures:
    """Create, await Running, delete; the next only when the last is gone."""
    spans: list[float] = []
    writes = 0.0
    for number in range(pods + WARM_UP):
        name = f"{subject.label}-single-{number}"
        before = await status_writes(api) if number == WARM_UP else 0.0
        writes = before or writes
        started = time.perf_counter()
        await create_all(api, [pod_body(name, subject.image, subject.node, subject.selector)])
        seen = await watch.reached([name], "Running", START_TIMEOUT_S)
        if number >= WARM_UP:
            spans.append((seen - started) * 1000)
    # The pods stay until the writes are counted: a deletion writes too.
    written = await status_writes(api) - writes
    names = [f"{subject.label}-single-{number}" for number in range(pods + WARM_UP)]
    await delete_all(api, names)
    await watch.reached(names, "Deleted", BURST_TIMEOUT_S)
    spans.sort()
    return StartFigures(
        pods=pods,
        p50_ms=quantile(spans, 0.50),
        p95_ms=quantile(spans, 0.95),
        p99_ms=quantile(spans, 0.99),
        most_ms=round(spans[-1], 1),
        status_writes_per_pod=round(written / pods, 2),
    )


async def delete_one_by_one(
    api: Api, watch: PodWatch, subject: Subject, pods: int
) -> DeletionFigures:
    """Delete running pods with Kubernetes' own grace of 30 s, each when the last one is gone."""
    names = [f"{subject.label}-doomed-{number}" for number in range(pods)]
    bodies = [
        pod_body(name, subject.image, subject.node, subject.selector, grace_s=DEFAULT_GRACE_S)
        for name in names
    ]
    await create_all(api, bodies)
    await watch.reached(names, "Running", BURST_TIMEOUT_S)
    spans: list[float] = []
    for name in names:
        started = time.perf_counter()
        await delete_all(api, [name])
        spans.append((await watch.reached([name], "Deleted", START_TIMEOUT_S) - started) * 1000)
    spans.sort()
    return DeletionFigures(
        pods=pods,
        p50_ms=quantile(spans, 0.50),
        p99_ms=quantile(spans, 0.99),
        most_ms=round(spans[-1], 1),
    )


async def start_burst(api: Api, watch: PodWatch, subject: Subject, pods: int) -> BurstFigures:
    """Create pods through the scheduler as fast as the API server takes them. They stay."""
    before = await status_writes(api)
    names = burst_names(subject, pods)
    bodies = [pod_body(name, subject.image, None, subject.selector) for name in names]
    started = await create_all(api, bodies)
    seconds = await watch.reached(names, "Running", BURST_TIMEOUT_S) - started
    written = await status_writes(api) - before
    return BurstFigures(
        pods=pods,
        seconds=round(seconds, 2),
        pods_per_s=round(pods / seconds, 1),
        status_writes_per_pod=round(written / pods, 2),
    )


async def delete_burst(api: Api, watch: PodWatch, subject: Subject, pods: int) -> float:
    """Delete what `start_burst` made; return the seconds until the last is gone."""
    names = burst_names(subject, pods)
    started = time.perf_counter()
    await delete_all(api, names)
    return round(await watch.reached(names, "Deleted", BURST_TIMEOUT_S) - started, 2)


def burst_names(subject: Subject, pods: int) -> list[str]:
    """Return the names of a burst's pods."""
    return [f"{subject.label}-burst-{number}" for number in range(pods)]


def quantile(ordered: list[float], share: float) -> float:
    """Return what this share of the sorted values does not exceed."""
    return round(ordered[max(0, math.ceil(len(ordered) * share) - 1)], 1)
