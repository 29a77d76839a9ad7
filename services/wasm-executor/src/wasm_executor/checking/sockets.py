"""A probe counts only if the pod's own process holds the socket that answers it.

Pods of a node may share its network, so a probe of one pod's port could be answered by another
pod, or by anything else on the machine: a container that does not listen yet would be ready.

Whether a process holds a socket is read from its descriptors. They are closed to others of the
same uid once a process has given up being dumped, as containers do; where this process has no
right to look, the socket's owner decides, which tells the pod from the rest of the machine only.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from wasm_executor.checking.listening import Listener, Listeners

MAX_REMEMBERED: Final = 4096


class Holding(StrEnum):
    """Whose a port is."""

    OWN = "own"
    FOREIGN = "foreign"
    NOBODY = "nobody"


class SocketHolders:
    """Remembers where a process holds a socket; each time one link is read to see that it does."""

    def __init__(self) -> None:
        self._listeners = Listeners()
        self._seen: dict[tuple[int, int], str] = {}

    def holding(self, ip: str, port: int, pids: Iterable[int]) -> Holding:
        """Say who gets a connection to this address and port: one of these processes?"""
        listener = self._listeners.at(ip, port)
        if listener is None:
            return Holding.NOBODY
        own = any(self._holds(pid, listener) for pid in pids)
        return Holding.OWN if own else Holding.FOREIGN

    def close(self) -> None:
        self._listeners.close()

    def _holds(self, pid: int, listener: Listener) -> bool:
        link = f"socket:[{listener.inode}]"
        remembered = self._seen.get((pid, listener.inode))
        if remembered is not None and _target(remembered) == link:
            return True
        try:
            found = next((path for path in _descriptors(pid) if _target(path) == link), None)
        except PermissionError:
            return listener.uid in _uids(pid)
        except OSError:  # it has ended
            return False
        if found is not None:
            if len(self._seen) >= MAX_REMEMBERED:
                self._seen.clear()
            self._seen[pid, listener.inode] = found
        return found is not None


def not_held(port: int) -> str:
    """What a probe fails with where the port is another's."""
    return f"port {port} is not held by a process of this pod"


def _descriptors(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    # Strings, not paths: it is read for each probe of each pod.
    return (f"{folder}/{name}" for name in os.listdir(folder))  # noqa: PTH208 - as above


def _target(path: str) -> str:
    with suppress(OSError):
        return os.readlink(path)  # noqa: PTH115 - as above
    return ""


def _uids(pid: int) -> set[int]:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return {int(uid) for uid in line.split()[1:]}
    return set()
