"""Pushes the example modules, so that the example's pod has something to run."""

import http.client
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from compose_jobs.errors import JobError, SilentError

WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 0.2
TAG: Final = "1"


def push_modules(folder: Path, registry: str) -> None:
    """Pushes each FILE.wasm as FILE:1, once the registry answers."""
    _await_registry(registry)
    for module in sorted(folder.glob("*.wasm")):
        reference = f"{registry}/{module.stem}:{TAG}"
        command = [sys.executable, "-m", "wasmlet", "push", str(module), reference, "--insecure"]
        if subprocess.run(command, check=False).returncode != 0:
            raise JobError(f"{reference} was not pushed")


def _await_registry(registry: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not _answers(registry):
        if time.monotonic() > deadline:
            raise SilentError(f"registry {registry} did not answer within {WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)


def _answers(registry: str) -> bool:
    connection = http.client.HTTPConnection(registry, timeout=5)
    try:
        connection.request("GET", "/v2/")
        with connection.getresponse() as response:
            return response.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
