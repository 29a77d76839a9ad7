"""The control groups that this executor is in, of version 2 or 1: what they allow, what is taken.

A container sees its own group where the top of a hierarchy would be, whatever its path says.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


class MemoryLimit(msgspec.Struct, frozen=True):
    """The lowest limit of our group and those above it, and the group that has it."""

    limit_bytes: int
    group: Path

    def used_bytes(self) -> int:
        """With what files hold in memory; 0 if unknown."""
        used = _number(self.group / "memory.current")
        return used or _number(self.group / "memory.usage_in_bytes") or 0

    def taken_bytes(self) -> int:
        """What cannot be had back by forgetting what files hold. That of tmpfs counts as taken.

        Nor do inodes and names that the kernel remembers: a guest may have made a million files.
        """
        stat = _table(self.group / "memory.stat")
        # Version 1 has its own group alone under the short names.
        if "total_cache" in stat:
            forgotten = stat["total_cache"] - stat.get("total_shmem", 0) + self._kernels_bytes()
        else:
            forgotten = stat.get("file", 0) - stat.get("shmem", 0)
            forgotten += stat.get("slab_reclaimable", 0)
        return self.used_bytes() - forgotten

    def _kernels_bytes(self) -> int:
        """Version 1 does not tell which part can be had back; it ends a guest, never all of us."""
        return _number(self.group / "memory.kmem.usage_in_bytes") or 0


def memory_limit() -> MemoryLimit | None:
    """Return it if there is one. Version 1 says "none" by a number that no machine has."""
    whole = machine_memory()
    found = [
        MemoryLimit(limit, file.parent)
        for (file,) in files("memory", ("memory.max",), ("memory.limit_in_bytes",))
        if (limit := _number(file)) is not None and limit < whole
    ]
    return min(found, key=lambda each: each.limit_bytes, default=None)


def machine_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def files(controller: str, unified: tuple[str, ...], legacy: tuple[str, ...]) -> list[list[Path]]:
    """Return files of these names for each group, ours and those above it; those that exist."""
    found: list[list[Path]] = []
    for line in _text(OWN).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            found += [[group / name for name in unified] for group in _upwards(CGROUPS, path)]
        elif controller in controllers.split(","):
            groups = _upwards(CGROUPS / controllers, path)
            found += [[group / name for name in legacy] for group in groups]
    return [each for each in found if all(file.exists() for file in each)]


def _upwards(top: Path, path: str) -> list[Path]:
    own = top / path.strip("/")
    return [each for each in (own, *own.parents) if each.is_relative_to(top)]


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdigit() else None


def _table(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in map(str.split, _text(file).splitlines())}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
