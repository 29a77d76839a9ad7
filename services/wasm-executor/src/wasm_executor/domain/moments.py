"""Two clocks, read once per step: one for what people see, one for waiting.

Delays count on the monotonic clock, because a corrected wall clock must neither kill a pod early
nor hold a restart for an hour. What outlives a process is written down on both: the monotonic
clock is shared by all supervisors of one keeper, and means nothing to the next keeper's.
"""

from datetime import datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """The present, on both clocks."""

    wall: datetime
    mono: float

    def passed_since(self, earlier: datetime, mono: float | None = None) -> float:
        """Return the seconds since then: by the monotonic reading, where there is one of this life.

        Without it the wall clock has to be believed; one that was set back counts as no time.
        """
        passed_s = (self.wall - earlier).total_seconds() if mono is None else self.mono - mono
        return max(0.0, passed_s)
