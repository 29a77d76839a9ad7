"""Measures what this node and its containers use, in a thread, and not more often than it pays.

Whoever asks within a moment of another gets the same measurement. A process is charged what a
memory limit holds: the anonymous memory that it has not from the zygote.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from contract.ids import PodUid
from contract.messages.usage import Usage
from wasm_executor.supervisor.memory import PAGE_BYTES, ZYGOTE, Forks, inherited_bytes, workers_of
from wasm_executor.supervisor.pods.runs import RunKey
from wasm_executor.supervisor.usage.processes import Process, Reading, read_process, read_tree

OLDEST_RATE_NS: Final = 120_000_000_000
"""A rate over a longer time than this tells nothing of now."""
_FORKED: Final = "wasmlet-"
"""How the names of the zygote's children begin, and its own."""

type Name = RunKey | str


class Running(NamedTuple):
    """A container that runs: its process, since when, and what that forks."""

    pid: int
    started_at: datetime
    forks: Forks


class Measured(NamedTuple):
    """One measurement: the executor with all that it runs, that without containers, and these."""

    node: Usage
    services: Usage
    containers: Mapping[RunKey, Usage]
    ended: Mapping[PodUid, int]
    """CPU time of each pod's runs that are over, as far as they were measured."""


class _Point(NamedTuple):
    """What had been used at a moment."""

    cpu_ns: int
    mono_ns: int


class Meter:
    """Remembers the last measurement, for rates and for who asks next."""

    def __init__(
        self,
        interval_s: float,
        running: Callable[[], Mapping[RunKey, Running]],
        known: Callable[[], Collection[PodUid]],
    ) -> None:
        self._interval_s = interval_s
        self._running = running
        self._known = known
        self._keeper_pid = os.getppid()
        self._began_at = _began_at(self._keeper_pid)
        self._points: dict[Name, _Point] = {}
        self._ended: dict[PodUid, int] = {}
        self._turn = asyncio.Lock()
        self._last: Measured | None = None
        self._last_mono = 0.0
        self._looked_at: frozenset[RunKey] = frozenset()

    async def measured(self) -> Measured:
        """Return the measurement in force; a new one if that is too old, or lacks a container."""
        async with self._turn:
            running = self._running()
            old = time.monotonic() - self._last_mono >= self._interval_s
            if self._last is None or old or running.keys() - self._looked_at:
                self._last = await asyncio.to_thread(self._measure, running, self._known())
                self._last_mono = time.monotonic()
                self._looked_at = frozenset(running)
            return self._last

    def _measure(self, running: Mapping[RunKey, Running], known: Collection[PodUid]) -> Measured:
        before, self._points = self._points, {}
        inherited = inherited_bytes(self._keeper_pid)
        tree = read_tree(self._keeper_pid)
        guests = {pid for each in running.values() for pid in _processes_of(each)}
        services = [self._alone(pid, each) for pid, each in tree.items() if pid not in guests]
        containers = self._containers(running, inherited, before)
        self._ended = _with_ended(self._ended, before, containers, known)
        return Measured(
            node=self._total("node", _sum(tree.values(), inherited), before),
            services=self._total("services", _sum(services, inherited), before),
            containers=containers,
            ended=self._ended,
        )

    def _alone(self, pid: int, process: Process) -> Process:
        """Return the keeper without what its dead children have used: they were containers."""
        reading = read_process(pid) if pid == self._keeper_pid else None
        return process if reading is None else process._replace(reading=reading)

    def _containers(
        self, running: Mapping[RunKey, Running], inherited: int, before: Mapping[Name, _Point]
    ) -> dict[RunKey, Usage]:
        usages: dict[RunKey, Usage] = {}
        for key, each in running.items():
            reading = _with_workers(each, inherited)
            if reading is None:
                continue
            # None is without use: metrics-server drops the pod of such a container. A worker that
            # is gone takes its time with it.
            point = before.get(key)
            charged = reading._replace(
                cpu_ns=max(1 if point is None else point.cpu_ns, reading.cpu_ns),
                anonymous_bytes=max(PAGE_BYTES, reading.anonymous_bytes),
            )
            usages[key] = self._usage(key, charged, each.started_at, point)
        return usages

    def _total(self, name: str, reading: Reading, before: Mapping[Name, _Point]) -> Usage:
        """A process that ends while its parent is looked at is missed once: it does not count."""
        point = before.get(name)
        least_ns = 0 if point is None else point.cpu_ns
        reading = reading._replace(cpu_ns=max(least_ns, reading.cpu_ns))
        return self._usage(name, reading, self._began_at, point)

    def _usage(self, name: Name, reading: Reading, since: datetime, before: _Point | None) -> Usage:
        present, point = datetime.now(UTC), _Point(reading.cpu_ns, time.monotonic_ns())
        self._points[name] = point
        age_ns = max(1, int((present - since).total_seconds() * 1e9))
        average = reading.cpu_ns * 1_000_000_000 // age_ns
        return Usage(
            at=present,
            since=since,
            core_nanoseconds=reading.cpu_ns,
            nano_cores=average if before is None else _rate(before, point, average),
            memory_bytes=reading.anonymous_bytes,
            resident_bytes=reading.resident_bytes,
            page_faults=reading.page_faults,
            major_page_faults=reading.major_page_faults,
            processes=reading.processes,
        )


def _processes_of(each: Running) -> tuple[int, ...]:
    return (each.pid, *workers_of(each.pid, each.forks))


def _with_workers(each: Running, inherited: int) -> Reading | None:
    """Return what a container uses, in all its processes; None when it is gone."""
    own = read_process(each.pid)
    if own is None:
        return None
    workers = (read_process(pid) for pid in workers_of(each.pid, each.forks))
    readings = (own, *(found for found in workers if found is not None))
    charged = (
        found._replace(anonymous_bytes=max(0, found.anonymous_bytes - inherited))
        for found in readings
    )
    return sum(charged, Reading())


def _with_ended(
    ended: Mapping[PodUid, int],
    before: Mapping[Name, _Point],
    containers: Mapping[RunKey, Usage],
    known: Collection[PodUid],
) -> dict[PodUid, int]:
    """Add the runs that have ended since the last measurement; forget pods that are gone."""
    total = {uid: used for uid, used in ended.items() if uid in known}
    for key, point in before.items():
        if isinstance(key, RunKey) and key not in containers and key.uid in known:
            total[key.uid] = total.get(key.uid, 0) + point.cpu_ns
    return total


def _rate(before: _Point, present: _Point, average: int) -> int:
    """Return nanoseconds per second since the last measurement, if that was not too long ago."""
    passed_ns = present.mono_ns - before.mono_ns
    if not 0 < passed_ns <= OLDEST_RATE_NS:
        return average
    return (present.cpu_ns - before.cpu_ns) * 1_000_000_000 // passed_ns


def _sum(processes: Iterable[Process], inherited: int) -> Reading:
    total = Reading()
    for name, reading in processes:
        forked = name.startswith(_FORKED) and name != ZYGOTE
        own = reading.anonymous_bytes - (inherited if forked else 0)
        total += reading._replace(anonymous_bytes=max(0, own))
    return total


def _began_at(pid: int) -> datetime:
    """Return when a process began; now, where that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as everything in /proc
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return datetime.now(UTC)
    since_boot_s = ticks / os.sysconf("SC_CLK_TCK")
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s
    return datetime.fromtimestamp(time.time() - age_s, UTC)
