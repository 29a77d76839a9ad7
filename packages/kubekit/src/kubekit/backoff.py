"""How long to wait before trying again: longer each time, never in step with others.

Pure: the clock and the randomness are passed in. The measures are client-go's reflector's.
"""

from collections.abc import Callable
from typing import Final

INITIAL_S: Final = 0.8
MAXIMUM_S: Final = 30.0
FACTOR: Final = 2.0
RESET_AFTER_S: Final = 120.0


class Backoff:
    """Delays of 0.8 to 1.6 s, then 1.6 to 3.2 s, and so on up to 15 to 30 s, at random within.

    It starts over by itself when nobody asked for `reset_after_s`, or when told by `reset`.
    """

    def __init__(
        self,
        random: Callable[[], float],
        *,
        initial_s: float = INITIAL_S,
        maximum_s: float = MAXIMUM_S,
        reset_after_s: float = RESET_AFTER_S,
    ) -> None:
        self._random = random
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._reset_after_s = reset_after_s
        self._next_s = initial_s
        self._asked_at: float | None = None

    def delay_s(self, now: float, *, retry_after_s: float | None = None) -> float:
        """The delay before the next try; at least what the server asked for by Retry-After."""
        if self._asked_at is not None and now - self._asked_at > self._reset_after_s:
            self.reset()
        self._asked_at = now
        base, self._next_s = self._next_s, min(self._next_s * FACTOR, self._maximum_s / 2)
        return max(base * (1 + self._random()), retry_after_s or 0.0)

    def reset(self) -> None:
        """What failed works again."""
        self._next_s = self._initial_s
        self._asked_at = None
