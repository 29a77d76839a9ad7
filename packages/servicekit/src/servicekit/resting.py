"""Memory that much work has taken is given back when the work is over.

After a thousand pods have gone a service would keep what they needed: cycles that nobody looks for
any more, and pages that the C library holds. Looking for them takes some 100 ms, so it waits until
there is nothing to delay.
"""

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 10.0
WORK_S: Final = 2.0
"""Of processor time since memory was last given back. At rest a service takes 15 minutes for it."""
IDLE_SHARE: Final = 0.1
"""Of one processor. Events that trickle out at their rate, for minutes, delay nobody."""
IDLE_LOOKS: Final = 2
"""In a row: HTTP clients keep what is idle for 15 s, and TLS connections are heavy."""


class Rest:
    """Tells from the processor time that is used whether work has come to its end.

    How fast it was done says nothing: on a busy machine much work looks like little.
    """

    def __init__(self, used_s: float) -> None:
        self._used_s = self._given_back_at_s = used_s
        self._idle_looks = 0

    def begins(self, used_s: float, passed_s: float) -> bool:
        """Take the process's time, so long after the last one; True once after each work."""
        share, self._used_s = (used_s - self._used_s) / passed_s, used_s
        self._idle_looks = self._idle_looks + 1 if share <= IDLE_SHARE else 0
        if self._idle_looks < IDLE_LOOKS or used_s - self._given_back_at_s < WORK_S:
            return False
        self._given_back_at_s = used_s
        return True


def tidy_at_rest(
    loop: asyncio.AbstractEventLoop,
    *,
    interval_s: float = INTERVAL_S,
    used_s: Callable[[], float] = time.process_time,
) -> None:
    """Look every few seconds for as long as the loop runs."""
    rest = Rest(used_s())

    def look() -> None:
        if rest.begins(used_s(), interval_s):
            give_back()
        loop.call_later(interval_s, look)

    loop.call_later(interval_s, look)


def give_back() -> None:
    """Free what nobody can reach, and return free pages to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(0)
