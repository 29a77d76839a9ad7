"""The processes that serve one container's ports: as many as it may use processors.

This process runs no guest. It holds the listening sockets, so that they are the pod's own, and
starts a worker again that ended. At SIGTERM it closes them and lets the workers drain; they have
as long as the pod's grace period, at the end of which all are killed.
"""

import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from wasm_executor.keeper.linux import die_with_parent
from wasm_executor.runtimes.wasihttp.saying import say

BROKEN_CODE: Final = 70
DRAINED_CODE: Final = 0
SHORT_LIFE_S: Final = 1.0
PATIENCE: Final = 10
"""So many workers in a row that end at once are the container's end."""

type Serve = Callable[[int], NoReturn]
"""What a worker does, with the control socket whose end tells it to drain."""


class Workers:
    """All workers of one container."""

    def __init__(self, number: int, listeners: Sequence[int], serve: Serve) -> None:
        self._number = number
        self._listeners = listeners
        self._serve = serve
        self._controls: dict[int, socket.socket] = {}
        self._began: dict[int, float] = {}
        self._short_lives = 0
        self._draining = False

    def run(self, on_started: Callable[[], None]) -> int:
        """Serve until a SIGTERM has been obeyed; return the container's exit code."""
        awaited = {signal.SIGTERM, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
        on_started()
        for _ in range(self._number):
            self._start()
        while self._controls:
            if signal.sigwait(awaited) == signal.SIGTERM:
                self._drain()
            self._reap()
            if self._short_lives > PATIENCE:
                say("workers end as soon as they begin")
                return BROKEN_CODE
        return DRAINED_CODE

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._be_worker(theirs, parent)
        theirs.close()
        self._controls[pid], self._began[pid] = ours, time.monotonic()

    def _be_worker(self, control: socket.socket, parent: int) -> NoReturn:
        code = BROKEN_CODE
        try:
            die_with_parent()
            if os.getppid() == parent:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
                for other in self._controls.values():
                    other.close()  # held here, it would keep another worker from draining
                gc.enable()  # off in the zygote, where nothing lives long
                self._serve(control.detach())
        except BaseException as error:  # noqa: BLE001 - whatever it is, this process ends here
            say(f"a worker failed: {error!r}")
        finally:
            os._exit(code)

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        for fd in self._listeners:
            os.close(fd)
        for control in self._controls.values():
            control.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._controls.pop(pid).close()
            lived_s = time.monotonic() - self._began.pop(pid)
            self._short_lives = self._short_lives + 1 if lived_s < SHORT_LIFE_S else 0
            if not self._draining:
                say(f"a worker ended ({_described(status)}) and is replaced")
                self._start()


def _described(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"code {code}" if code >= 0 else f"signal {-code}"
