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
import traceback
from collections.abc import Callable
from typing import Final

from wasm_executor.keeper.events import warn

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT


class _Watched:
    """Compared by identity: the same number may be another descriptor."""

    def __init__(self, callback: Callable[[], None], on_failed: Callable[[], None] | None) -> None:
        self.callback = callback
        self.on_failed = on_failed


class EventLoop:
    """Call what is registered, until stopped."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, _Watched] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callable[[], None]] = {}
        self._running = True

    def add(
        self,
        fd: int,
        callback: Callable[[], None],
        on_failed: Callable[[], None] | None = None,
    ) -> None:
        """Call back while the descriptor is readable; `on_failed` follows an exception."""
        self._epoll.register(fd, READABLE)
        self._watched[fd] = _Watched(callback, on_failed)

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget a descriptor; call it before closing one."""
        del self._watched[fd]
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
            ready = [(fd, self._watched.get(fd)) for fd, _ in self._epoll.poll(self._timeout())]
            for fd, watched in ready:
                # An earlier callback of this turn may have closed it, and a new descriptor may
                # have got its number: that one is not ready, and reading it would block.
                if watched is not None and self._watched.get(fd) is watched:
                    self.attempt(watched.callback, watched.on_failed)
            self._run_timers()

    def attempt(
        self, callback: Callable[[], None], on_failed: Callable[[], None] | None = None
    ) -> None:
        """The one boundary: a bug met by one container must not end all of them."""
        try:
            callback()
        except Exception:  # noqa: BLE001 - see above
            warn("callback.failed", error=traceback.format_exc())
            if on_failed is not None:
                on_failed()

    def _timeout(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            self.attempt(heapq.heappop(self._timers)[2])

    def _open_signal_pipe(self) -> None:
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self.add(read_end, lambda: self._deliver(read_end))

    def _deliver(self, read_end: int) -> None:
        for signum in set(os.read(read_end, 4096)):
            callback = self._signals.get(signum)
            if callback is not None:
                callback()
