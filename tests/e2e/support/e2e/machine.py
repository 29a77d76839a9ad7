"""A machine outside the cluster: a folder in place of its disk, and systemd's units run by hand."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from controlplane import Component

WITHIN_S = 60
FOLDERS = ("run/wasmlet", "run/wasmlet-log-server", "var/lib/wasmlet", "var/log/wasmlet")
"""What systemd makes of RuntimeDirectory, StateDirectory and LogsDirectory."""


def wasmlet(*arguments: str, told: str = "") -> str:
    """What the command says on stdout; nothing of this process's environment reaches it."""
    done = subprocess.run(
        [sys.executable, "-m", "wasmlet", *arguments],
        input=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Machine:
    """Its disk lies in memory, because plans do."""

    def __init__(self, logs: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="wasmlet-machine-", dir="/dev/shm"))
        self._logs = logs
        self._running: list[Component] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in reversed(self._running):
            each.stop(grace_s=40)
        shutil.rmtree(self.root)

    def join(self, word: str, *options: str) -> str:
        return wasmlet(
            *("node", "join", "-", "--root", str(self.root), "--no-start", *options), told=word
        )

    def file(self, path: str) -> Path:
        return self.root / path

    def set(self, service: str, **settings: str) -> None:
        """What an operator adds to a service's settings."""
        with self.file(f"etc/wasmlet/{service}/env").open("a") as out:
            out.writelines(f"WASMLET_{name}={value}\n" for name, value in settings.items())

    def start(self, unit: str) -> None:
        """Runs what the unit says, with its environment and nothing else."""
        text = self.file(f"etc/systemd/system/{unit}.service").read_text()
        told = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        for folder in FOLDERS:
            self.file(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = Path(told["EnvironmentFile"]).read_text().splitlines()
        command = ["/usr/bin/env", *settings, *shlex.split(told["ExecStart"])]
        component = Component(unit, command, self._logs / f"{unit}.log", lambda: True)
        component.start()
        self._running.append(component)

    def said(self, unit: str) -> str:
        return (self._logs / f"{unit}.log").read_text(errors="replace")
