"""The time of the model: one clock that only grows, and wall clocks that may be set.

The API server and the reconciler have a steady wall clock; that of the executor's machine may step.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from wasm_executor.domain.moments import Moment

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Turned by the test alone."""

    def __init__(self) -> None:
        self.mono = 0.0
        self.set_by_s = 0.0
        """By how much the executor's wall clock has been set."""

    @property
    def steady(self) -> datetime:
        return START + timedelta(seconds=self.mono)

    @property
    def now(self) -> Moment:
        """The present on the executor's machine."""
        return Moment(self.steady + timedelta(seconds=self.set_by_s), self.mono)

    def set_wall(self, seconds: float) -> None:
        self.set_by_s += seconds
