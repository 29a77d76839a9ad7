"""What this machine's kernel offers an executor: the walls around a guest, and its limits."""

import ctypes
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wasmlet.doctor.findings import Finding, problem, warning, well

_CREATE_RULESET: Final = 444
_VERSION_FLAG: Final = 1
TRUNCATE_ABI: Final = 3
"""Since Linux 6.2. An older Landlock cannot keep a file from being cut."""
CONTROLLERS: Final = ("memory", "cpu")
ARCHITECTURES: Final = ("x86_64", "aarch64")


def kernel_findings(root: Path = Path("/")) -> Iterator[Finding]:
    """Yield what is said of the machine whose `/proc` and `/sys` are below `root`."""
    yield landlock_finding(landlock_abi())
    yield _seccomp(root)
    yield _cgroup(root)
    yield _memory_disk(root)
    yield _swap(root)


def landlock_abi() -> int:
    """Return the version of Landlock, 0 without."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)))


def landlock_finding(abi: int) -> Finding:
    """Return what a version of Landlock means."""
    if abi >= TRUNCATE_ABI:
        return well("landlock", f"version {abi}")
    if abi:
        return warning("landlock", f"version {abi}", "Linux 6.2 or later fences files in wholly")
    advice = (
        "boot with `lsm=landlock,...`, Linux 6.2 or later; without it guests share one wall less"
    )
    return warning("landlock", "not there", advice)


def _seccomp(root: Path) -> Finding:
    there = (root / "proc/sys/kernel/seccomp/actions_avail").exists()
    machine = platform.machine()
    if there and machine in ARCHITECTURES:
        return well("seccomp", f"on {machine}")
    what = f"no filter for {machine}" if there else "not in this kernel"
    return warning("seccomp", what, f"run guests on {' or '.join(ARCHITECTURES)} with seccomp")


def _cgroup(root: Path) -> Finding:
    file = root / "sys/fs/cgroup/cgroup.controllers"
    if not file.exists():
        advice = (
            "boot with `systemd.unified_cgroup_hierarchy=1`, or set the node's capacity yourself"
        )
        return warning("cgroup", "not version 2: the node's capacity is the whole machine", advice)
    there = file.read_text().split()
    missing = [name for name in CONTROLLERS if name not in there]
    if missing:
        what = f"version 2 without {', '.join(missing)}"
        return warning("cgroup", what, "enable it in cgroup.subtree_control of the parents")
    return well("cgroup", "version 2 with memory and cpu")


def _memory_disk(root: Path) -> Finding:
    kinds = _mounts(root)
    place = next((each for each in ("/run", "/dev/shm") if kinds.get(each) == "tmpfs"), None)  # noqa: S108 - looked up, not written
    if place is None:
        advice = "mount one: an executor keeps plans and secrets in memory only"
        return problem("tmpfs", "neither /run nor /dev/shm is one", advice)
    return well("tmpfs", place)


def _swap(root: Path) -> Finding:
    file = root / "proc/swaps"
    areas = file.read_text().splitlines()[1:] if file.exists() else []
    if areas:
        advice = (
            "switch it off or encrypt it: what lies on tmpfs, secrets too, may be written there"
        )
        return warning("swap", areas[0].split()[0], advice)
    return well("swap", "none")


def _mounts(root: Path) -> dict[str, str]:
    file = root / "proc/mounts"
    rows = (line.split() for line in file.read_text().splitlines()) if file.exists() else ()
    return {row[1]: row[2] for row in rows}
