"""Starts the executor under the name that fits its number: container 2 of the service is `wasm-2`.

`--scale wasm-executor=3` starts equal containers, and none of them is told its number. Its name
holds it (`wasmlet-wasm-executor-2`), which the network resolves: so each asks for the names from
the first on until one is itself. A new container of the same number takes over the same Node and
the same data. This process becomes the executor, so the keeper is the container's first process.
"""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

DATA: Final = Path("/var/lib/wasmlet")
PASSWORDS: Final = Path("/credentials")
WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.2


def main(prefix: str, most: int) -> None:
    """Find the number among 1 to `most` and become the executor."""
    own = socket.gethostbyname(socket.gethostname())
    deadline = time.monotonic() + WITHIN_S
    while (index := _index(prefix, most, own)) is None:
        if time.monotonic() > deadline:
            sys.exit(f"none of {prefix}-1 to {prefix}-{most} is this container ({own})")
        time.sleep(LOOK_EVERY_S)
    node = f"wasm-{index}"
    data = DATA / node
    data.mkdir(mode=0o700, exist_ok=True)
    environ = {
        **os.environ,  # noqa: TID251 - passed on to the executor
        "WASMLET_NODE_NAME": node,
        "WASMLET_DATA_DIR": str(data),
        "WASMLET_LOG_ROOT": str(data / "logs"),
        "WASMLET_NATS_PASSWORD_FILE": str(PASSWORDS / f"{node}.password"),
    }
    os.execve(sys.executable, [sys.executable, "-m", "wasm_executor"], environ)  # noqa: S606 - the way to stay process 1


def _index(prefix: str, most: int, own: str) -> int | None:
    for index in range(1, most + 1):
        try:
            if socket.gethostbyname(f"{prefix}-{index}") == own:
                return index
        except OSError:
            continue  # there is no such container
    return None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
