"""Memory limits where no cgroup keeps them: look often, kill at the limit.

What counts is the anonymous memory that a process has taken since its guest started. It was
forked with the interpreter and the engine in it; those pages are shared with every other
container and are not the guest's.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, NoReturn

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Watched:
    """One process with a limit."""

    def __init__(self, pid: int, limit_bytes: int, on_exceeded: Callable[[], None]) -> None:
        self.pid = pid
        self.limit_bytes = limit_bytes
        self.on_exceeded = on_exceeded


class MemoryWatch:
    """All processes with a limit, by key."""

    def __init__(self) -> None:
        self._watched: dict[str, Watched] = {}
        self._inherited_bytes: int | None = None

    def watch(self, key: str, watched: Watched) -> None:
        """Look after a process whose guest has just begun."""
        self._watched[key] = watched
        taken = anonymous_bytes(watched.pid)
        if taken is not None:
            # The least that was ever seen: a fast guest may have grown before the first look.
            known = self._inherited_bytes
            self._inherited_bytes = taken if known is None else min(known, taken)

    def unwatch(self, key: str) -> None:
        self._watched.pop(key, None)

    def look(self) -> None:
        """Find who is over his limit. Each is told once."""
        inherited = self._inherited_bytes or 0
        for key, each in list(self._watched.items()):
            taken = anonymous_bytes(each.pid)
            if taken is not None and taken - inherited > each.limit_bytes:
                del self._watched[key]
                each.on_exceeded()

    async def look_often(self, interval_s: float) -> NoReturn:
        while True:
            await asyncio.sleep(interval_s)
            self.look()


def anonymous_bytes(pid: int) -> int | None:
    """Return the anonymous resident memory of a process; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - ten times a second each
            _size, resident, shared, *_rest = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(resident) - int(shared)) * PAGE_BYTES
