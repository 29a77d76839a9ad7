"""What this machine is, for the Node's status: sizes, kernel, runtime.

An executor in a container may use its cgroup's limit, and it is that of the whole executor with
all its pods. Without one the machine is divided by the executors on it. A reserve of both is not
for pods.
"""

import os
import shutil
from collections.abc import Collection
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Final

from contract.messages.node import NodeFacts
from wasm_executor.runtimes.interface import ENTRY_POINT_GROUP
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.externals import RUNTIME

CGROUPS: Final = Path("/sys/fs/cgroup")


def runtime_names() -> frozenset[str]:
    """Return the runtimes that are installed."""
    return frozenset(point.name for point in entry_points(group=ENTRY_POINT_GROUP))


def node_facts(settings: ExecutorSettings, externals: Collection[str] = ()) -> NodeFacts:
    """Look at the machine; `externals` are its own runtime programs, by handler."""
    cpu_millis = _cpu_limit_millis() or _share(_machine_cpus() * 1000, settings)
    memory_bytes = _memory_limit_bytes() or _share(_machine_memory_bytes(), settings)
    disk_bytes = shutil.disk_usage(settings.data_dir).total
    return NodeFacts(
        cpu_millis=cpu_millis,
        memory_bytes=memory_bytes,
        ephemeral_storage_bytes=_share(disk_bytes, settings),
        pods=settings.max_pods,
        allocatable_cpu_millis=max(0, cpu_millis - settings.reserved_cpu_millis),
        allocatable_memory_bytes=max(0, memory_bytes - settings.reserved_memory_bytes),
        machine_id=_text("/etc/machine-id") or _text("/var/lib/dbus/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel_version=os.uname().release,
        os_image=_os_image(),
        runtime_version=f"wasmtime://{version('wasmtime')}",
        version=version("wasm-executor"),
        runtimes=tuple(sorted((runtime_names() - {RUNTIME}).union(externals))),
    )


def _share(whole: int, settings: ExecutorSettings) -> int:
    return whole // settings.executors_on_machine


def _machine_cpus() -> int:
    return os.cpu_count() or 1


def _machine_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _own_cgroups() -> list[Path]:
    """Return our cgroup (v2) and those above it: the lowest limit of all of them holds."""
    path = next(
        (line[3:] for line in _text("/proc/self/cgroup").splitlines() if line.startswith("0::")),
        None,
    )
    if path is None:
        return []
    own = CGROUPS / path.strip("/")
    return [each for each in (own, *own.parents) if each.is_relative_to(CGROUPS)]


def _memory_limit_bytes() -> int | None:
    limits = [_text(str(group / "memory.max")) for group in _own_cgroups()]
    return min((int(each) for each in limits if each.isdigit()), default=None)


def _cpu_limit_millis() -> int | None:
    """Read `<quota> <period>` in microseconds; the quota `max` is none."""
    quotas = [_text(str(group / "cpu.max")).split() for group in _own_cgroups()]
    given = [each for each in quotas if each and each[0].isdigit()]
    return min((int(quota) * 1000 // int(period) for quota, period in given), default=None)


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
