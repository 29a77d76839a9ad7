"""What exec probes cost: each is a process of its own, forked, run and reaped.

The keeper's figure counts the processes that it has reaped: the guests, asked or not, are in it.
"""

import asyncio
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import NAMESPACE, PodWatch, create_all, delete_all, pod_body
from benchmarks.measures import Subject
from benchmarks.memory import process_named, supervisor_pid
from kubekit.client import Api

PERIOD_S: Final = 1
SETTLE_S: Final = 3.0
START_TIMEOUT_S: Final = 120
EVENTS: Final = f"/api/v1/namespaces/{NAMESPACE}/events"
OWN_FIELDS: Final = slice(11, 13)
WITH_REAPED_FIELDS: Final = slice(11, 15)


class ExecFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of CPU per probe: the supervisor's, and all others' of the executor."""

    pods: int
    probes_per_s: float
    supervisor_cpu_ms: float
    other_cpu_ms: float
    timed_out: int


async def exec_costs(
    api: Api, watch: PodWatch, subject: Subject, root: int, *, pods: int, seconds: float
) -> ExecFigures:
    """Start pods, let their probes settle, measure for a while, delete them."""
    supervisor = supervisor_pid(root)
    # Found while nothing is forked: what comes between a zygote and its spares has its name.
    others = [process_named(root, f"wasm-executor {name}") for name in ("keeper", "zygote")]
    names = [f"{subject.label}-asked-{number}" for number in range(pods)]
    await create_all(api, [_body(name, subject) for name in names])
    await watch.reached(names, "Running", START_TIMEOUT_S)
    await asyncio.sleep(SETTLE_S)
    before = _spent_s(supervisor, others)
    await asyncio.sleep(seconds)
    after = _spent_s(supervisor, others)
    timed_out = await _timed_out(api, names)
    await delete_all(api, names)
    await watch.reached(names, "Deleted", START_TIMEOUT_S)
    probes = pods * seconds / PERIOD_S
    own_ms, other_ms = (
        round(1000 * (late - early) / probes, 2) for early, late in zip(before, after, strict=True)
    )
    return ExecFigures(
        pods=pods,
        probes_per_s=round(probes / seconds, 1),
        supervisor_cpu_ms=own_ms,
        other_cpu_ms=other_ms,
        timed_out=timed_out,
    )


def _body(name: str, subject: Subject) -> bytes:
    pod: dict[str, Any] = msgspec.json.decode(
        pod_body(name, subject.image, subject.node, subject.selector)
    )
    pod["spec"]["containers"][0]["readinessProbe"] = {
        "exec": {"command": ["asked", "are you well?"]},
        "periodSeconds": PERIOD_S,
        "timeoutSeconds": 1,
    }
    return msgspec.json.encode(pod)


def _spent_s(supervisor: int, others: list[int]) -> tuple[float, float]:
    """Return the CPU time of the supervisor, and of the others and all that they reaped."""
    whole = sum(_cpu_s(pid, WITH_REAPED_FIELDS) for pid in others)
    return _cpu_s(supervisor, OWN_FIELDS), whole


def _cpu_s(pid: int, fields: slice) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, stat[fields])) / os.sysconf("SC_CLK_TCK")


async def _timed_out(api: Api, names: list[str]) -> int:
    """Count the probes that took too long, as the pods' Events say."""
    found = msgspec.json.decode((await api.request("GET", EVENTS)).body)
    return sum(
        each.get("count") or 1
        for each in found["items"]
        if each["involvedObject"]["name"] in names and "timed out" in each["message"]
    )
