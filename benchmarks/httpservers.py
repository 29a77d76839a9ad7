"""What HTTP handlers are measured beside: a bare uvicorn, and `wasmtime serve` if there is one.

Each has a session of its own, as a container has: the kernel shares processors out by session, and
who shares the client's would be served first on a busy machine.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 60.0


@contextmanager
def bare_uvicorn(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "uvicorn", "benchmarks.barehttp:app", "--no-access-log"]
    with _serving([*command, "--port", str(port), "--log-level", "error"], port):
        yield


@contextmanager
def wasmtime_serve(component: Path | None, port: int) -> Iterator[bool]:
    """Serve the component, if there is a `wasmtime` on the path; yield whether there is."""
    program = shutil.which("wasmtime")
    if program is None or component is None:
        yield False
        return
    command = [program, "serve", "-S", "cli", "--addr", f"127.0.0.1:{port}", str(component)]
    with _serving(command, port):
        yield True


@contextmanager
def _serving(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            _await_listening(port)
            yield
        finally:
            process.terminate()


def _await_listening(port: int) -> None:
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")
