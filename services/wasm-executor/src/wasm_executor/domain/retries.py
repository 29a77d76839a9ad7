"""What one container waits before its next attempts, counted where no one can set the clock."""

from datetime import datetime

from wasm_executor.domain.backoff import BackOff, after_crash, after_image_failure
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.moments import Moment


class Retries:
    """The crash back-off, which outlives us on disk, and the image back-off, which need not."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.crash: BackOff | None = None
        self._crash_over_at = 0.0
        self._image: BackOff | None = None

    def recall(self, crash: BackOff | None, now: Moment) -> None:
        """Take up what was written down: here alone the wall clock has to be believed."""
        self.crash = crash
        if crash is not None:
            self._crash_over_at = now.mono - (now.wall - crash.updated_at).total_seconds()

    def after_crash(self, ended_at: datetime, now: Moment) -> float:
        """Return how long the run that has just ended waits for the next."""
        since_s = now.mono - self._crash_over_at
        delay = after_crash(self.crash, since_s, ended_at, self._rules.restarts)
        self.crash = delay.following
        self._crash_over_at = now.mono + delay.seconds
        return delay.seconds

    def after_image_failure(self, now: Moment) -> float:
        """Return how long the attempt that has just failed waits for the next."""
        delay = after_image_failure(self._image, now.wall, self._rules.images)
        self._image = delay.following
        return delay.seconds

    def image_found(self) -> None:
        self._image = None

    def forget(self) -> None:
        """Another image is another matter."""
        self.crash = self._image = None
