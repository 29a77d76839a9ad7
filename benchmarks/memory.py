"""What processes weigh: PSS, which counts a page that N processes share as 1/N, in kilobytes."""

from pathlib import Path
from typing import Final

import msgspec

_SERVICES: Final = {
    "node_registrar": "node-registrar",
    "pod_reconciler": "pod-reconciler",
    "log_server": "log-server",
    "wasm_executor.supervisor": "wasm-executor supervisor",
    "wasm_executor.zygote": "wasm-executor zygote",
    "wasm_executor": "wasm-executor keeper",
}


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
    zygotes: set[int] = set()
    for pid in sorted(_descendants(root)):
        command = _command(pid)
        name = _service_name(command)
        if name is None:
            continue
        # A container keeps the zygote's command line; the zygote is the first with it per keeper.
        if name.endswith("zygote") and _parent(pid) in zygotes:
            weights.containers += 1
            weights.containers_pss_kb += _rollup(pid, "Pss")
            continue
        if name.endswith("zygote"):
            zygotes.add(_parent(pid))
        weights.services_pss_kb[name] = weights.services_pss_kb.get(name, 0) + _rollup(pid, "Pss")
        weights.services_rss_kb[name] = weights.services_rss_kb.get(name, 0) + _rollup(pid, "Rss")
    return weights


def _service_name(command: list[str]) -> str | None:
    if command and command[0].endswith("nats-server"):
        return "nats-server"
    if "-m" not in command:
        return None
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
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _rollup(pid: int, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return next(
        (int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:")), 0
    )
