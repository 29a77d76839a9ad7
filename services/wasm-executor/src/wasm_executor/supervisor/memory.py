"""Memory limits where no cgroup keeps them: look often, kill at the limit.

Before the executor's own group is full somebody is ended here too: the kernel would end the
executor with all its pods, for a kubelet tells it to (`memory.oom.group`, version 2). But nobody
is ended for what others hold: jobs, files in memory. What grows faster than one looks gets past
that.

What counts is the anonymous memory that a process has taken since its guest started. It was
forked with the interpreter and the engine in it; those pages are shared with every other
container and are not the guest's.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import IntEnum
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import structlog

from wasm_executor.supervisor.cgroups import MemoryLimit

log = structlog.get_logger()

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
FAIR_PART: Final = 2
"""Whoever takes half of what is wanted may be ended for it; or all do, who take half of all."""
ZYGOTE: Final = "wasmlet-zygote"
"""The name that it gives itself."""


class Forks(IntEnum):
    """How deep the processes of a container go. Each step is looked for ten times a second."""

    NOTHING = 0
    WORKERS = 1
    REQUESTS = 2
    """Each thread of a worker forks a process for a request."""


class Watched:
    """One process, with or without a limit of its own."""

    def __init__(
        self,
        pid: int,
        limit_bytes: int | None,
        on_exceeded: Callable[[], None],
        *,
        forks: Forks = Forks.NOTHING,
    ) -> None:
        self.pid = pid
        self.limit_bytes = limit_bytes
        self.on_exceeded = on_exceeded
        self.forks = forks
        """What it forks counts with it: as long as there may be some, it is looked for."""


class Shortage(msgspec.Struct, frozen=True):
    """What is taken of the executor's own group, and how much less of it would do for a while."""

    taken_bytes: int
    wanted_bytes: int

    def who_goes(self, sizes: Mapping[str, int], promised: AbstractSet[str]) -> str | None:
        """Return who takes most, first of those who promised no limit.

        None where the end of none would help: others than they have taken it.
        """
        fair = [key for key, size in sizes.items() if size * FAIR_PART >= self.wanted_bytes]
        if fair:
            return max(fair, key=lambda key: (key not in promised, sizes[key]))
        if sum(sizes.values()) * FAIR_PART >= self.taken_bytes:  # many, and each is small
            return max(sizes, key=lambda key: sizes[key])
        return None


class Room:
    """The memory of the executor's own group; nobody is ended while `kept_bytes` are free."""

    def __init__(self, limit: MemoryLimit | None, kept_bytes: int) -> None:
        self._limit = limit
        self._kept_bytes = kept_bytes

    def shortage(self) -> Shortage | None:
        """What is wanted is as much again as is kept: who frees less is followed by the next."""
        if self._limit is None:
            return None
        most = self._limit.limit_bytes - self._kept_bytes
        if self._limit.used_bytes() <= most or (taken := self._limit.taken_bytes()) <= most:
            return None
        return Shortage(taken, taken - most + self._kept_bytes)


class MemoryWatch:
    """All processes of containers, by key."""

    def __init__(self, keeper_pid: int, room: Room | None = None) -> None:
        self._keeper_pid = keeper_pid
        self._room = room or Room(None, 0)
        self._watched: dict[str, Watched] = {}
        self._inherited_bytes = 0
        self._ending: list[int] = []
        self._left_to_kernel = False

    def watch(self, key: str, watched: Watched) -> None:
        """Look after a process; its guest has yet to begin."""
        if not self._watched:
            self._inherited_bytes = inherited_bytes(self._keeper_pid)
        self._watched[key] = watched

    def unwatch(self, key: str) -> None:
        self._watched.pop(key, None)

    def look(self) -> None:
        """Find who is over his limit, and who has to go for all. Each is told once."""
        for key, each in list(self._watched.items()):
            if each.limit_bytes is not None and self._taken(each) > each.limit_bytes:
                self._tell(key)
        # A pid is soon another's: whoever has gone is not waited for again.
        self._ending = [pid for pid in self._ending if anonymous_bytes(pid)]
        shortage = self._room.shortage()
        if shortage is None:
            self._left_to_kernel = False
        elif not self._ending:
            self._make_room(shortage)

    def _make_room(self, shortage: Shortage) -> None:
        """End one; the next look says whether that was enough."""
        taken = ((key, self._taken(each)) for key, each in self._watched.items())
        sizes = {key: size for key, size in taken if size > 0}
        promised = {key for key in sizes if self._watched[key].limit_bytes is not None}
        key = shortage.who_goes(sizes, promised)
        if key is not None:
            log.warning("memory.ran_short", ended=key, taken_bytes=sizes[key])
            self._ending = _pids_of(self._watched[key])
            self._tell(key)
        elif not self._left_to_kernel:
            self._left_to_kernel = True
            log.warning("memory.left_to_kernel", taken_bytes=shortage.taken_bytes)

    def _tell(self, key: str) -> None:
        self._watched.pop(key).on_exceeded()

    def _taken(self, each: Watched) -> int:
        sizes = (anonymous_bytes(pid) or 0 for pid in _pids_of(each))
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


def _pids_of(each: Watched) -> list[int]:
    return [each.pid, *workers_of(each.pid, each.forks)]


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
