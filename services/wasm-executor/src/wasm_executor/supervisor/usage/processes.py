"""What processes use, read from /proc without leave: containers are not dumpable.

So memory is anonymous memory (`statm`), the same that a memory limit holds. CPU time comes from the
process' own clock, which counts nanoseconds and the threads that have ended.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from wasm_executor.supervisor.memory import PAGE_BYTES

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CPU_CLOCK: Final = 2
"""CPUCLOCK_SCHED: how Linux makes a clock of a process' number."""


class Reading(NamedTuple):
    """One process, or the sum of several."""

    cpu_ns: int = 0
    anonymous_bytes: int = 0
    resident_bytes: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    processes: int = 0

    def __add__(self, other: "Reading", /) -> "Reading":  # type: ignore[override] # sums, as numbers do
        return Reading(*(mine + its for mine, its in zip(self, other, strict=True)))


class Process(NamedTuple):
    """One of a tree, by the name that it has given itself."""

    name: str
    reading: Reading


class _Stat(NamedTuple):
    """The fields of /proc/PID/stat that count here; those of the dead are of reaped children."""

    name: str
    minor: int
    minor_of_dead: int
    major: int
    major_of_dead: int
    ticks: int
    ticks_of_dead: int


def read_process(pid: int) -> Reading | None:
    """Return what one process uses; None when it is gone."""
    try:
        stat, (resident, shared) = _stat(pid), _memory(pid)
        cpu_ns = time.clock_gettime_ns(~pid << 3 | _CPU_CLOCK)
    except OSError:
        return None
    return Reading(
        cpu_ns=cpu_ns,
        anonymous_bytes=max(0, resident - shared),
        resident_bytes=resident,
        page_faults=stat.minor + stat.major,
        major_page_faults=stat.major,
        processes=1,
    )


def read_tree(root: int) -> dict[int, Process]:
    """Return all processes below one and itself, each with what its dead children have used.

    What a child has used moves to its parent when that reaps it, so the sum does not shrink.
    """
    found: dict[int, Process] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        with suppress(OSError):
            stat, (resident, shared) = _stat(pid), _memory(pid)
            reading = Reading(
                cpu_ns=(stat.ticks + stat.ticks_of_dead) * _TICK_NS,
                anonymous_bytes=max(0, resident - shared),
                resident_bytes=resident,
                page_faults=stat.minor + stat.minor_of_dead + stat.major + stat.major_of_dead,
                major_page_faults=stat.major + stat.major_of_dead,
                processes=1,
            )
            found[pid] = Process(stat.name, reading)
            waiting.extend(_children(pid))
    return found


def _stat(pid: int) -> _Stat:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - often, of many processes
        head, _, rest = file.read().rpartition(b")")
    fields, name = rest.split(), head.partition(b"(")[2].decode(errors="replace")
    minor, of_dead, major, major_of_dead, user, system, dead_user, dead_system = (
        int(each) for each in fields[7:15]
    )
    ticks, dead_ticks = user + system, dead_user + dead_system
    return _Stat(name, minor, of_dead, major, major_of_dead, ticks, dead_ticks)


def _memory(pid: int) -> tuple[int, int]:
    with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - as above
        _size, resident, shared, *_rest = file.read().split()
    return int(resident) * PAGE_BYTES, int(shared) * PAGE_BYTES


def _children(pid: int) -> Iterator[int]:
    """Yield the children of all threads: each has its own."""
    for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are all that is wanted
        with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as above
            yield from map(int, file.read().split())
