"""What ConfigMaps, Secrets and tokens cost: a start with many of them, and a change to many pods.

A rich pod has five volumes and fifty variables; it is started in turns with a bare one, so that
both meet the same machine. For the change, the files on the node's tmpfs say who has it.
"""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import (
    NAMESPACE,
    PodWatch,
    create_all,
    delete_all,
    pod_body,
    requests_to,
    status_writes,
)
from benchmarks.measures import START_TIMEOUT_S, WARM_UP, Subject, quantile
from benchmarks.memory import process_named
from kubekit.client import Api

CORE: Final = f"/api/v1/namespaces/{NAMESPACE}"
SETTINGS: Final = "bench-settings"
KEYS: Final = "bench-keys"
SHARED: Final = "bench-shared"
KEYS_EACH: Final = 10
PLAIN: Final = 25
SHARED_BYTES: Final = 100_000
UPDATE_TIMEOUT_S: Final = 120
POLL_S: Final = 0.1


class SourceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Creation to Running, in milliseconds; the difference is between the medians."""

    pods: int
    bare_p50_ms: float
    rich_p50_ms: float
    bare_p99_ms: float
    rich_p99_ms: float
    difference_ms: float


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """Under how many pods something is changed, and where that is seen."""

    run: Path
    """The folder of `wasmlet up` on tmpfs."""
    root: int
    """Its process."""
    pods: int
    period_s: float


class UpdateFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A ConfigMap's change, until the file is there for each of the pods."""

    pods: int
    content_bytes: int
    period_s: float
    first_s: float
    last_s: float
    object_reads: float
    """GETs of ConfigMaps that the API server has counted meanwhile, all clients together."""
    status_writes: float
    bus_bytes: int
    """What NATS has taken in meanwhile, beats and grants included."""


async def rich_starts(api: Api, watch: PodWatch, subject: Subject, pods: int) -> SourceFigures:
    """Start a bare pod, then a rich one, and so on; nothing is deleted meanwhile."""
    await put_sources(api)
    spans: dict[str, list[float]] = {"plain": [], "rich": []}
    for number in range(pods + WARM_UP):
        for kind, known in spans.items():
            name = f"{subject.label}-{kind}-{number}"
            started = time.perf_counter()
            await create_all(api, [started_body(kind, name, subject)])
            seen = await watch.reached([name], "Running", START_TIMEOUT_S)
            known.append((seen - started) * 1000)
    count = pods + WARM_UP
    names = [f"{subject.label}-{kind}-{number}" for kind in spans for number in range(count)]
    await delete_all(api, names)
    await watch.reached(names, "Deleted", UPDATE_TIMEOUT_S)
    bare, rich = (sorted(known[WARM_UP:]) for known in spans.values())
    return SourceFigures(
        pods=pods,
        bare_p50_ms=quantile(bare, 0.5),
        rich_p50_ms=quantile(rich, 0.5),
        bare_p99_ms=quantile(bare, 0.99),
        rich_p99_ms=quantile(rich, 0.99),
        difference_ms=round(quantile(rich, 0.5) - quantile(bare, 0.5), 1),
    )


async def update_many(api: Api, watch: PodWatch, subject: Subject, shared: Shared) -> UpdateFigures:
    """Change the ConfigMap of many pods on one node."""
    names = [f"{subject.label}-update-{number}" for number in range(shared.pods)]
    volume = {"name": "v", "configMap": {"name": SHARED}}
    await _put(api, "configmaps", SHARED, {"data": _shared("before")})
    await create_all(api, [_mounting(name, subject, [volume]) for name in names])
    await watch.reached(names, "Running", UPDATE_TIMEOUT_S)
    await _swapped(shared, 0.0)
    nats = process_named(shared.root, "nats-server")
    reads, writes, taken = await _reads(api), await status_writes(api), _taken_in(nats)
    changed_at = time.time()
    await _put(api, "configmaps", SHARED, {"data": _shared("after")})
    swaps = await _swapped(shared, changed_at)
    figures = UpdateFigures(
        pods=shared.pods,
        content_bytes=SHARED_BYTES,
        period_s=shared.period_s,
        first_s=round(min(swaps) - changed_at, 2),
        last_s=round(max(swaps) - changed_at, 2),
        object_reads=await _reads(api) - reads,
        status_writes=await status_writes(api) - writes,
        bus_bytes=_taken_in(nats) - taken,
    )
    await delete_all(api, names)
    await watch.reached(names, "Deleted", UPDATE_TIMEOUT_S)
    return figures


async def _swapped(shared: Shared, since: float) -> list[float]:
    """Return when each pod's volume was swapped, as soon as all have been since then."""
    async with asyncio.timeout(UPDATE_TIMEOUT_S):
        while True:
            swaps = [at for at in _swaps(shared.run) if at > since]
            if len(swaps) >= shared.pods:
                return swaps
            await asyncio.sleep(POLL_S)


def _swaps(run: Path) -> list[float]:
    """Return the time of each volume's newest swap: that of its link `..data`."""
    return [path.lstat().st_mtime for path in run.glob("nodes/*/volumes/pods/*/files/v/..data")]


def _shared(stamp: str) -> dict[str, str]:
    return {"stamp": stamp, "bulk": stamp.ljust(SHARED_BYTES, "x")}


async def put_sources(api: Api) -> None:
    """Have the ConfigMap and the Secret of rich pods."""
    values = {f"KEY_{number}": f"value-{number}" for number in range(KEYS_EACH)}
    await _put(api, "configmaps", SETTINGS, {"data": values})
    await _put(api, "secrets", KEYS, {"stringData": values})


async def _put(api: Api, plural: str, name: str, content: dict[str, Any]) -> None:
    kind = {"configmaps": "ConfigMap", "secrets": "Secret"}[plural]
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}
    path = f"{CORE}/{plural}/{name}"
    await api.request(
        "PATCH",
        path,
        query={"fieldManager": "bench", "force": "true"},
        body=msgspec.json.encode(body),
        content_type="application/apply-patch+yaml",
    )


def started_body(kind: str, name: str, subject: Subject) -> bytes:
    """Return a pod, `plain` or `rich`."""
    if kind == "plain":
        return pod_body(name, subject.image, subject.node, subject.selector)
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    labels = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volumes = [
        {"name": "settings", "configMap": {"name": SETTINGS}},
        {"name": "keys", "secret": {"secretName": KEYS}},
        {"name": "labels", "downwardAPI": {"items": labels}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [token]}},
    ]
    return _mounting(name, subject, volumes, _variables())


def _variables() -> list[dict[str, Any]]:
    """Return fifty: of a ConfigMap, a Secret, the pod itself, and plain ones that use others."""
    settings = [
        {"name": f"C_{n}", "valueFrom": {"configMapKeyRef": {"name": SETTINGS, "key": f"KEY_{n}"}}}
        for n in range(KEYS_EACH)
    ]
    keys = [
        {"name": f"S_{n}", "valueFrom": {"secretKeyRef": {"name": KEYS, "key": f"KEY_{n}"}}}
        for n in range(KEYS_EACH)
    ]
    paths = ("metadata.name", "metadata.uid", "spec.nodeName", "status.hostIP", "status.podIP")
    fields = [
        {"name": f"F_{n}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for n, path in enumerate(paths)
    ]
    plain = [{"name": f"P_{n}", "value": f"$(C_{n % KEYS_EACH})-{n}"} for n in range(PLAIN)]
    return [*settings, *keys, *fields, *plain]


def _mounting(
    name: str,
    subject: Subject,
    volumes: list[dict[str, Any]],
    env: list[dict[str, Any]] | None = None,
) -> bytes:
    pod = msgspec.json.decode(pod_body(name, subject.image, subject.node, subject.selector))
    pod["spec"]["volumes"] = volumes
    pod["spec"]["containers"][0] |= {
        "env": env or [],
        "volumeMounts": [{"name": v["name"], "mountPath": f"/in/{v['name']}"} for v in volumes],
    }
    return msgspec.json.encode(pod)


async def _reads(api: Api) -> float:
    return await requests_to(api, 'resource="configmaps"', 'verb="GET"')


def _taken_in(pid: int) -> int:
    """Return the bytes that a process has read so far, sockets included."""
    line = Path(f"/proc/{pid}/io").read_text().splitlines()[0]
    return int(line.removeprefix("rchar: "))
