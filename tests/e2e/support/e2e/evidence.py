"""What a failed test leaves to read: what services said since it began, and what runs right now.

The folder of a test run is gone where it failed on another machine.
"""

from collections.abc import Iterator
from pathlib import Path

from e2e.processes import Process, process_of
from e2e.running_wasmlet import RunningWasmlet

MOST_LINES = 80
MOST_PROCESSES = 60


class Evidence:
    """Of one test; made when it begins."""

    def __init__(self) -> None:
        self._said = {
            id(each): _log_of(each).stat().st_size for each in RunningWasmlet.all_running()
        }

    def sections(self) -> Iterator[tuple[str, str]]:
        """Titles and texts, a pair for each `wasmlet up` that runs."""
        for wasmlet in RunningWasmlet.all_running():
            said = _log_of(wasmlet).read_bytes()[self._said.get(id(wasmlet), 0) :]
            lines = said.decode(errors="replace").splitlines()
            yield f"what {wasmlet.nodes[0]} said", "\n".join(lines[-MOST_LINES:])
            processes = list(_with_descendants(process_of(wasmlet.process.pid)))
            shown = "\n".join(_in_short(each) for each in processes[:MOST_PROCESSES])
            yield f"what {wasmlet.nodes[0]} runs ({len(processes)})", shown


def _log_of(wasmlet: RunningWasmlet) -> Path:
    return wasmlet.process.log_path


def _with_descendants(process: Process) -> Iterator[Process]:
    yield process
    for child in process.children():
        yield from _with_descendants(child)


def _in_short(process: Process) -> str:
    arguments = " ".join(process.arguments)[:80]
    return f"{process.pid} {process.name} {process.waits_in} {arguments}"
