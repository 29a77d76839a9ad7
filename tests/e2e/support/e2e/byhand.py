"""A service that a test starts itself: like one that `wasmlet up` runs, but for some settings."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controlplane import Component
from e2e.anatomy import Part
from e2e.expectations import eventually
from e2e.processes import Process, process_of

LEADING = {Part.REGISTRAR: "registrar.leading", Part.RECONCILER: "term.started"}
"""What a replica logs when its turn has come."""


class ByHand:
    """Starts at once. `settings` are names without WASMLET_, as in `--set`."""

    def __init__(self, like: Process, part: Part, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True)
        given = {k: v for k, v in like.environment.items() if k.startswith("WASMLET_")}
        given |= {f"WASMLET_{name}": value for name, value in settings.items()}
        given |= {"WASMLET_LOG_FORMAT": "json", "WASMLET_LOG_LEVEL": "info"}
        pairs = [f"{name}={value}" for name, value in given.items()]
        command = ["/usr/bin/env", *pairs, sys.executable, "-m", part.value]
        self._component = Component(part.value, command, folder / "log", lambda: True)
        self._component.start()

    @property
    def process(self) -> Process:
        return process_of(self._component.pid)

    def records(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        text = self._component.log_path.read_text(errors="replace").rpartition("\n")[0]
        lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def stop(self) -> None:
        """SIGTERM, and the time that an executor gives its containers."""
        self._component.stop(grace_s=40)

    def kill(self) -> None:
        self._component.kill()


@contextmanager
def standby(like: Process, part: Part, folder: Path) -> Iterator[ByHand]:
    """A second replica, which waits for its turn; it ends with the block, whatever happens."""
    second = ByHand(like, part, folder, ADMIN_PORT="0")
    try:
        eventually(lambda: second.records("admin.listening"))
        assert not second.records(LEADING[part])
        yield second
    finally:
        second.stop()
