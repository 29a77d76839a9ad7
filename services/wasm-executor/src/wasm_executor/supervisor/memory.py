"""Memory limits where no cgroup keeps them: look often, kill at the limit.

What counts is the anonymous memory that a process has taken since its guest started. It was
forked with the interpreter and the engine in it; those pages are shared with every other
container and are not the guest's.
"""

import asyncio
import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final, NoReturn

import structlog

log = structlog.get_logger()

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
ZYGOTE: Final = "wasmlet-zygote"
"""The name that it gives itself."""


class Forks(IntEnum):
    """How deep the processes of a container go. Each step is looked for ten times a second."""

    NOTHING = 0
    WORKERS = 1
    REQUESTS = 2
    """Each thread of a worker forks a process for a request."""


class Watched:
    """One process with a limit."""

    def __init__(
        self,
        pid: int,
        limit_bytes: int,
        on_exceeded: Callable[[], None],
        *,
        forks: Forks = Forks.NOTHING,
    ) -> None:
        self.pid = pid
        self.limit_bytes = limit_bytes
        self.on_exceeded = on_exceeded
        self.forks = forks
        """What it forks counts with it: as long as there may be some, it is looked for."""


class MemoryWatch:
    """All processes with a limit, by key."""

    def __init__(self, keeper_pid: int) -> None:
        self._keeper_pid = keeper_pid
        self._watched: dict[str, Watched] = {}
        self._inherited_bytes = 0

    def watch(self, key: str, watched: Watched) -> None:
        """Look after a process; its guest has yet to begin."""
        if not self._watched:
            self._inherited_bytes = inherited_bytes(self._keeper_pid)
        self._watched[key] = watched

    def unwatch(self, key: str) -> None:
        self._watched.pop(key, None)

    def look(self) -> None:
        """Find who is over his limit. Each is told once."""
        for key, each in list(self._watched.items()):
            if self._taken(each) > each.limit_bytes:
                del self._watched[key]
                each.on_exceeded()

    def _taken(self, each: Watched) -> int:
        pids = (each.pid, *workers_of(each.pid, each.forks))
        sizes = (anonymous_bytes(pid) or 0 for pid in pids)
        return sum(max(0, size - self._inherited_bytes) for size in sizes)

    async def look_often(self, interval_s: float) -> NoReturn:
        while True:
            await asyncio.sleep(interval_s)
            self.look()


def inherited_bytes(keeper_pid: int) -> int:
    """Return what every container has from the zygote, which is the keeper's child as they are.

    Nothing where there is no zygote at this moment: a container then counts for more than it took.
    """
    children = Path(f"/proc/{keeper_pid}/task/{keeper_pid}/children")
    try:
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == ZYGOTE:
                return anonymous_bytes(int(pid)) or 0
    except OSError as error:
        log.warning("zygote.not_measured", reason=str(error))
    return 0


def workers_of(pid: int, forks: Forks) -> list[int]:
    """Return a container's workers, and what they have forked for requests."""
    if forks is Forks.NOTHING:
        return []
    workers = _forked_by(pid, pid)  # its parent has one thread
    if forks is Forks.WORKERS:
        return workers
    return workers + [
        child
        for worker in workers
        for thread in _threads_of(worker)
        for child in _forked_by(worker, thread)
    ]


def _forked_by(pid: int, thread: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as below
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _threads_of(pid: int) -> list[int]:
    try:
        return [int(each) for each in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - as below
    except (FileNotFoundError, ProcessLookupError):
        return []


def anonymous_bytes(pid: int) -> int | None:
    """Return the anonymous resident memory of a process; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - ten times a second each
            _size, resident, shared, *_rest = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(resident) - int(shared)) * PAGE_BYTES
