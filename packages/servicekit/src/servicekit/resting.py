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
BUSY_SHARE: Final = 0.2
"""Of one processor: from here on it is work."""
IDLE_SHARE: Final = 0.1
"""Events that trickle out at their rate are no work: after a thousand pods they take minutes."""
IDLE_LOOKS: Final = (2, 8)
"""In a row: HTTP clients keep what is idle for 15 s, and TLS connections are heavy.

What ends later, such as the last of a thousand pods' Events, lies among free pages: a minute on,
they are given back once more.
"""


class Rest:
    """Tells from the processor time that is used whether work has come to its end."""

    def __init__(self, used_s: float) -> None:
        self._used_s = used_s
        self._has_worked = False
        self._idle_looks = 0

    def begins(self, used_s: float, passed_s: float) -> bool:
        """Take the process's time, so long after the last one; True twice after each work."""
        share, self._used_s = (used_s - self._used_s) / passed_s, used_s
        self._has_worked |= share > BUSY_SHARE
        self._idle_looks = self._idle_looks + 1 if share <= IDLE_SHARE else 0
        if not self._has_worked or self._idle_looks not in IDLE_LOOKS:
            return False
        self._has_worked = self._idle_looks != IDLE_LOOKS[-1]
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
