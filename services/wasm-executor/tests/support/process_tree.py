"""Which processes are whose, as the kernel has it."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """By each process's word for its parent: a task's own list of them may miss one that runs."""
    return sorted(child for child in _processes() if _parent_of(child) == pid)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _parent_of(pid: int) -> int | None:
    """None where it has gone meanwhile."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])
