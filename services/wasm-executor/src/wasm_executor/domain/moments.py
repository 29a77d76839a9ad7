"""Two clocks, read once per step: one for what people see, one for waiting.

Delays count on the monotonic clock, because a corrected wall clock must neither kill a pod early
nor hold a restart for an hour. What outlives a process is written down in wall time.
"""

from datetime import datetime
from typing import NamedTuple


class Moment(NamedTuple):
    """The present, on both clocks."""

    wall: datetime
    mono: float

    def passed_since(self, earlier: datetime) -> float:
        """Return the seconds since an earlier wall time; a clock set back counts as none."""
        return max(0.0, (self.wall - earlier).total_seconds())
