"""A container engine of the tests' own: nothing of it is shared with one that runs here anyway.

So the stand-ins for official images never get into a developer's engine.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Self

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 60.0
_PROGRAMS: Final = ("dockerd", "docker", "mmdebstrap")
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def why_no_engine() -> str | None:
    """Why none can be started here; None where one can."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} here (Debian: docker.io, mmdebstrap)"
    return None if os.geteuid() == 0 else "a container engine needs root"


class Engine:
    """dockerd with folders, a socket and a range of addresses of its own, all gone afterwards."""

    def __init__(self) -> None:
        # Short, because a socket's path may not be long.
        self.folder = Path(tempfile.mkdtemp(prefix="wasmlet-engine-"))
        self._log = self.folder / "dockerd.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """What makes docker and compose speak to this engine."""
        kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        return {
            **kept,
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "DOCKER_BUILDKIT": "0",  # else the client wants a plugin that Debian does not have
        }

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call; nothing may outlive us
                start_new_session=True,
            )
        try:
            self._await_answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._unmount()
        shutil.rmtree(self.folder)

    def docker(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` prints; it has to succeed."""
        return run(["docker", *arguments], self.environ)

    def _command(self) -> list[str]:
        return [
            "dockerd",
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.folder / 'exec'}",
            f"--pidfile={self.folder / 'docker.pid'}",
            f"--host=unix://{self.folder / 'docker.sock'}",
            # This machine's rules stay as they are: containers reach one another, and are reached
            # from loopback by a proxy; what they may not do is to reach out.
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            "--bridge=none",  # another engine here may have the usual one
            "--default-address-pool=base=172.31.224.0/20,size=24",
        ]

    def _unmount(self) -> None:
        """The engine leaves its own network namespace mounted."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self.folder}/")]):
            run(["umount", mount], self.environ)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while subprocess.run(
            ["docker", "version"], env=self.environ, capture_output=True, check=False
        ).returncode:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self._log.read_text(errors="replace")[-2000:])
            time.sleep(0.1)


def run(command: list[str], environ: dict[str, str], cwd: Path | None = None) -> str:
    """The command's output; an AssertionError with its end where it fails."""
    answer = subprocess.run(
        command, env=environ, cwd=cwd, capture_output=True, text=True, check=False
    )
    tail = f"{answer.stdout[-3000:]}{answer.stderr[-3000:]}"
    assert answer.returncode == 0, f"{' '.join(command)}: {tail}"
    return answer.stdout


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
