"""What processes weigh, as PSS in kilobytes where a shared page counts as 1/N, and their time."""

import time
from pathlib import Path
from typing import Final

import msgspec

_SERVICES: Final = {
    "node_registrar": "node-registrar",
    "pod_reconciler": "pod-reconciler",
    "log_server": "log-server",
    "wasm_executor.supervisor": "wasm-executor supervisor",
}
_NAMES: Final = {
    "wasmlet-keeper": "wasm-executor keeper",
    "wasmlet-zygote": "wasm-executor zygote",
    "wasmlet-spare": "wasm-executor spares",
    "nats-server": "nats-server",
}
_GUEST: Final = "wasmlet-guest"
_CPU_CLOCK: Final = 2
"""CPUCLOCK_SCHED: how Linux makes a clock of a process' number."""


class Weights(msgspec.Struct, kw_only=True):
    """PSS and RSS by process name, and of the containers together."""

    services_pss_kb: dict[str, int] = {}
    services_rss_kb: dict[str, int] = {}
    containers: int = 0
    containers_pss_kb: int = 0

    @property
    def services_total_pss_kb(self) -> int:
        """All services and NATS, without containers and without `wasmlet up` itself."""
        return sum(self.services_pss_kb.values())


def weigh(root: int) -> Weights:
    """Weigh the descendants of one process (`wasmlet up`)."""
    weights = Weights()
    for pid in _descendants(root):
        if _read(pid, "comm").strip() == _GUEST:
            weights.containers += 1
            weights.containers_pss_kb += _rollup(pid, "Pss")
            continue
        name = _service_name(pid)
        if name is None:
            continue
        weights.services_pss_kb[name] = weights.services_pss_kb.get(name, 0) + _rollup(pid, "Pss")
        weights.services_rss_kb[name] = weights.services_rss_kb.get(name, 0) + _rollup(pid, "Rss")
    return weights


def processor_s(root: int) -> dict[str, float]:
    """Return the processor time that each kind of these processes has used so far, in seconds."""
    used: dict[str, float] = {}
    for pid in _descendants(root):
        is_guest = _read(pid, "comm").strip() == _GUEST
        name = "containers" if is_guest else _service_name(pid)
        if name is not None:
            used[name] = used.get(name, 0.0) + _processor_s(pid)
    return used


def supervisor_pid(root: int) -> int:
    """Return the executor's supervisor among the descendants of `wasmlet up`."""
    return process_named(root, _SERVICES["wasm_executor.supervisor"])


def process_named(root: int, name: str) -> int:
    """Return the descendant of `wasmlet up` that has this name in what `weigh` tells."""
    return next(pid for pid in _descendants(root) if _service_name(pid) == name)


def _service_name(pid: int) -> str | None:
    named = _NAMES.get(_read(pid, "comm").strip())
    command = _read(pid, "cmdline").split("\0")
    if named is not None or "-m" not in command:
        return named
    return _SERVICES.get(command[command.index("-m") + 1])


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    found: set[int] = set()
    todo = [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.add(pid)
            todo.append(pid)
    return found


def _parent(pid: int) -> int:
    stat = _read(pid, "stat")
    return int(stat.rsplit(")", 1)[1].split()[1]) if stat else -1


def _processor_s(pid: int) -> float:
    """By the process' own clock, which counts nanoseconds; nothing where it is gone."""
    try:
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK)
    except OSError:
        return 0.0


def _rollup(pid: int, field: str) -> int:
    """Return one line of smaps_rollup; needs the right to trace where a process is not dumpable."""
    lines = _read(pid, "smaps_rollup").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def _read(pid: int, name: str) -> str:
    """Return a file of /proc, nothing where the process is gone or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
