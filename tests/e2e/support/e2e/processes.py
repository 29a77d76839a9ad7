"""Processes as /proc shows them. A pid is known with its start time, for pids come back."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
# Of /proc/PID/stat, counted after the command's closing bracket.
_STATE, _PARENT, _STARTED = 0, 1, 19
_ENDED = ("Z", "X")


class Process(NamedTuple):
    """One process, and no other one that gets its pid later."""

    pid: int
    started: int

    @property
    def lives(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[0] == self

    @property
    def name(self) -> str:
        """What it calls itself; empty once it is gone."""
        return _text(self.pid, "comm").strip()

    @property
    def waits_in(self) -> str:
        """The kernel's function that it sleeps in; `0` while it runs."""
        return _text(self.pid, "wchan")

    @property
    def arguments(self) -> list[str]:
        return _text(self.pid, "cmdline").split("\0")[:-1]

    @property
    def environment(self) -> dict[str, str]:
        """What it was started with."""
        pairs = (each.partition("=") for each in _text(self.pid, "environ").split("\0") if each)
        return {name: value for name, _, value in pairs}

    @property
    def pss_kb(self) -> int:
        """Its memory, each page that n processes share counted as 1/n; 0 where nobody may look."""
        lines = _text(self.pid, "smaps_rollup").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)

    def children(self) -> list["Process"]:
        return [process for process, parent in _everything() if parent == self.pid]

    def signal(self, number: signal.Signals) -> None:
        """Fails where the process is gone: a fault that hits nobody shows nothing."""
        descriptor = os.pidfd_open(self.pid)
        try:
            assert self.lives, f"{self} is gone"
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """SIGSTOP for as long as the body takes."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def process_of(pid: int) -> Process:
    stat = _stat(pid)
    assert stat is not None, f"there is no process {pid}"
    return stat[0]


def all_processes() -> list[Process]:
    return [process for process, _ in _everything()]


def _everything() -> Iterator[tuple[Process, int]]:
    for folder in _PROC.iterdir():
        if folder.name.isdecimal() and (stat := _stat(int(folder.name))) is not None:
            yield stat


def _stat(pid: int) -> tuple[Process, int] | None:
    """The process and its parent; None for one that has ended, reaped or not."""
    text = _text(pid, "stat")
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    if fields[_STATE] in _ENDED:
        return None
    return Process(pid, int(fields[_STARTED])), int(fields[_PARENT])


def _text(pid: int, file: str) -> str:
    try:
        return (_PROC / str(pid) / file).read_text(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
