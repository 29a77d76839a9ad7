"""The keeper's two services, zygote and supervisor: started, bound to it, restarted.

fork and exec by hand: the death signal must be set between the two, and the keeper is small
enough for a fork to be cheap.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NoReturn

from wasm_executor.keeper.descriptors import close_all_but
from wasm_executor.keeper.events import warn
from wasm_executor.keeper.linux import die_with_parent
from wasm_executor.keeper.loop import EventLoop

FIRST_DELAY_S: Final = 0.05
STABLE_AFTER_S: Final = 10.0
CANNOT_EXECUTE: Final = 126


class BackOff:
    """Delays that double while a service keeps failing and start over once it held."""

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self._next_s = min(FIRST_DELAY_S, max_s)

    def after(self, ran_s: float) -> float:
        if ran_s >= STABLE_AFTER_S:
            self._next_s = min(FIRST_DELAY_S, self._max_s)
        delay_s = self._next_s
        self._next_s = min(self._max_s, delay_s * 2)
        return delay_s


class Service:
    """One child that has to be there: calls `launch` again whenever it ended."""

    def __init__(
        self, name: str, loop: EventLoop, launch: Callable[[], int], max_delay_s: float
    ) -> None:
        self.name = name
        self.pid: int | None = None
        self._loop = loop
        self._launch = launch
        self._back_off = BackOff(max_delay_s)
        self._started = 0.0
        self._wanted = True

    def start(self) -> None:
        if not self._wanted:
            return
        self._started = time.monotonic()
        try:
            self.pid = self._launch()
        except OSError as error:  # no process or descriptor is left on this machine: later
            warn(f"{self.name}.start_failed", error=str(error))
            self.ended()

    def ended(self) -> float | None:
        """Take note of its end; return the delay until the next start, None if there is none."""
        self.pid = None
        if not self._wanted:
            return None
        delay_s = self._back_off.after(time.monotonic() - self._started)
        self._loop.call_later(delay_s, self.start)
        return delay_s

    def stop(self, signum: int) -> None:
        """Send the signal and do not start it again."""
        self._wanted = False
        if self.pid is not None:
            os.kill(self.pid, signum)


def spawn_bound(
    argv: Sequence[str],
    environ: Mapping[str, str],
    inherited_fd: int,
    held: Collection[int] = (),
) -> int:
    """Start a program that dies with this process; it inherits stdio and one descriptor.

    `held` are signals that wait until it takes them, where they would end it while it starts.
    """
    parent, before = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        pid = os.fork()
        if pid == 0:
            _become(argv, environ, inherited_fd, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _become(
    argv: Sequence[str], environ: Mapping[str, str], inherited_fd: int, parent: int
) -> NoReturn:
    try:
        die_with_parent()
        if os.getppid() == parent:
            os.setsid()  # a terminal's Ctrl-C reaches the keeper alone, which passes it on
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            close_all_but((inherited_fd,))
            os.set_inheritable(inherited_fd, True)
            os.execve(argv[0], list(argv), dict(environ))  # noqa: S606 - no shell is the point
    finally:
        os._exit(CANNOT_EXECUTE)
