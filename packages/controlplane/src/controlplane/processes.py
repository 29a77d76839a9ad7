"""One program of the control plane as a child that can be stopped, started again, killed, frozen.

A child never outlives the process that started it: the kernel kills it with its parent, and it is
in a session of its own, so that Ctrl-C in a terminal reaches only the parent, which decides the
order of stopping. Start children from a thread that lives as long as they shall (the main one).
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from controlplane.errors import ComponentError

READY_WITHIN_S = 90.0
STOP_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05
TAIL_BYTES = 4000

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class Component:
    """A program with its command line, log file and a question that tells when it is ready."""

    def __init__(
        self, name: str, command: Sequence[str], log_path: Path, is_ready: Callable[[], bool]
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log_path = log_path
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        if self._process is None:
            raise ComponentError(self.name, "was not started", self.log_path, "")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the program; it is ready only after `wait_ready`."""
        if self.is_running:
            raise ComponentError(self.name, "runs already", self.log_path, self.log_tail())
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=bare_environment(self.log_path.parent),
                start_new_session=True,
                # Only the child itself can set its parent-death signal; no threads of ours hold
                # locks here that two system calls would need.
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509
            )

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not self._is_ready():
            if not self.is_running:
                code = self._process.returncode if self._process else None
                raise ComponentError(self.name, f"ended ({code})", self.log_path, self.log_tail())
            if time.monotonic() > deadline:
                what = f"was not ready after {within_s:.0f} s"
                raise ComponentError(self.name, what, self.log_path, self.log_tail())
            time.sleep(LOOK_EVERY_S)

    def stop(self, grace_s: float = STOP_WITHIN_S) -> None:
        """SIGTERM, and SIGKILL after the grace time; does nothing if it does not run."""
        if self._process is None or not self.is_running:
            return
        self.resume()  # a frozen process would keep its SIGTERM for later
        self._process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self) -> str:
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - TAIL_BYTES))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""


def bare_environment(home: Path) -> dict[str, str]:
    """No proxies, no kubectl settings and caches of the developer: only what a program needs."""
    return {
        "HOME": str(home),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "KUBERC": "off",
        "OTEL_TRACES_EXPORTER": "none",  # the registry would call localhost:4318 for ever
    }


def _dying_with(parent: int) -> Callable[[], None]:
    def in_the_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return in_the_child
