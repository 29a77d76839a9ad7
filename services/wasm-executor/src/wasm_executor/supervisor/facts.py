"""What this machine is, for the Node's status: sizes, kernel, runtime.

An executor in a container may use its cgroup's limit (version 2 or 1), and it is that of the whole
executor with all its pods. Without one the machine is divided by the executors on it. A reserve of
both is not for pods.
"""

import os
import shutil
from collections.abc import Collection
from importlib.metadata import entry_points, version
from pathlib import Path

from contract.messages.node import NodeFacts
from wasm_executor.runtimes.interface import ENTRY_POINT_GROUP
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor import cgroups
from wasm_executor.supervisor.externals import RUNTIME


def runtime_names() -> frozenset[str]:
    """Return the runtimes that are installed."""
    return frozenset(point.name for point in entry_points(group=ENTRY_POINT_GROUP))


def node_facts(settings: ExecutorSettings, externals: Collection[str] = ()) -> NodeFacts:
    """Look at the machine; `externals` are its own runtime programs, by handler."""
    cpu_millis = _cpu_limit_millis() or _share(_machine_cpus() * 1000, settings)
    limited = cgroups.memory_limit()
    memory_bytes = limited.limit_bytes if limited else _share(cgroups.machine_memory(), settings)
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


def _cpu_limit_millis() -> int | None:
    """Read quota and period in microseconds; the quota `max`, or -1, is none."""
    files = cgroups.files("cpu", ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    said = (" ".join(_text(str(each)) for each in of_group) for of_group in files)
    given = [each.split() for each in said if each[:1].isdigit()]
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
