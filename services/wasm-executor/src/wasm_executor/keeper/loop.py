"""The keeper's event loop: epoll, timers, signals; no asyncio, which costs 10 MB.

Level-triggered, one callback per ready descriptor and turn: a stream that never pauses gets its
share and no more.
"""

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Final

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT


class EventLoop:
    """Call what is registered, until stopped."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callable[[], None]] = {}
        self._running = True

    def add(self, fd: int, callback: Callable[[], None], events: int = READABLE) -> None:
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget a descriptor; call it before closing one."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), callback))

    def on_signal(self, signum: int, callback: Callable[[], None]) -> None:
        """Run the callback from the loop, never inside a handler."""
        if not self._signals:
            self._open_signal_pipe()
        self._signals[signum] = callback
        signal.signal(signum, lambda _signum, _frame: None)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            for fd, _ in self._epoll.poll(self._timeout()):
                callback = self._callbacks.get(fd)
                if callback is not None:  # else an earlier callback of this turn removed it
                    callback()
            self._run_timers()

    def _timeout(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _open_signal_pipe(self) -> None:
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self.add(read_end, lambda: self._deliver(read_end))

    def _deliver(self, read_end: int) -> None:
        for signum in set(os.read(read_end, 4096)):
            callback = self._signals.get(signum)
            if callback is not None:
                callback()
