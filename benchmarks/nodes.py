"""A `wasmlet up` for a benchmark, of this checkout or of another one, joined as a Node."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.measures import Subject

READY_TIMEOUT_S: Final = 60
OBJECTS_PERIOD_S: Final = 5.0
ROOM: Final = ("node-registrar:max_pods=2000", "wasm-executor:max_pods=2000")
SETTINGS: Final = (
    "wasm-executor:log_max_bytes=100000000",
    "wasm-executor:guest_sockets=true",
    f"pod-reconciler:objects_period_s={OBJECTS_PERIOD_S}",
    *ROOM,
)


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster a Node joins, from where it takes its images, and whose program it is."""

    name: str
    kubeconfig: Path
    registry: str
    folder: Path
    """For its data and its log."""
    checkout: Path | None = None
    """Another one than this, with its own `.venv`."""
    settings: tuple[str, ...] = SETTINGS
    """As `wasmlet up --set` takes them."""

    @property
    def subject(self) -> "Subject":
        """What is measured there; the image is the caller's to name."""
        selector = {"kubernetes.io/hostname": self.name}
        return Subject(label=self.name, node=self.name, image="", selector=selector)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def command(self) -> list[str]:
        """Return what starts it."""
        python = sys.executable if self.checkout is None else str(self.checkout / PYTHON)
        command = [python, "-m", "wasmlet", "up", "--node-name", self.name, "--kubelet-port", "0"]
        command += ["--kubeconfig", str(self.kubeconfig), "--data-dir", str(self.data)]
        command += ["--insecure-registry", self.registry, "--log-level", "warning"]
        for setting in self.settings:
            command += ["--set", setting]
        return command


PYTHON: Final = Path(".venv/bin/python")


@contextmanager
def wasmlet_up(joining: Joining) -> Iterator[int]:
    """Start it and await its Node; give its process, and end it."""
    joining.folder.mkdir(parents=True, exist_ok=True)
    log = joining.folder / "up.log"
    command, cwd = joining.command(), joining.checkout
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, cwd=cwd) as process,
    ):
        try:
            _await_ready(log, process, joining.name)
            yield process.pid
        except BaseException:
            print(log.read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            process.terminate()


def _await_ready(log: Path, process: subprocess.Popen[bytes], node: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while f"node {node} is Ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the node {node} did not become Ready")
        time.sleep(0.05)
