"""What one container waits before its next attempts, counted where no one can set the clock."""

from datetime import datetime
from typing import Final

from contract.messages.report import Terminated
from wasm_executor.domain.backoff import BackOff, after_crash, after_image_failure, after_kill
from wasm_executor.domain.checkpoint import ContainerRecord
from wasm_executor.domain.frame import Rules
from wasm_executor.domain.moments import Moment

LOOKED_FOR: Final = frozenset(
    {"CreateContainerConfigError", "ErrImageNeverPull", "InvalidImageName"}
)
"""Looked for with each sync by a kubelet, and told: it costs neither a pull nor a compilation."""


class Retries:
    """The crash back-off, which outlives us on disk, and the image back-off, which need not."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.crash: BackOff | None = None
        self._crash_over_at = 0.0
        self._ended_at: float | None = None
        """On the monotonic clock: when the latest run ended that is known of."""
        self._image: BackOff | None = None

    @property
    def crash_over_mono(self) -> float | None:
        """When the crash back-off is over, if there is one."""
        return None if self.crash is None else self._crash_over_at

    def recall(self, past: ContainerRecord, now: Moment) -> None:
        """Take up what was written down.

        Of an earlier life there is the wall clock alone. If that was set, it may cost one delay:
        no back-off is over later than its delay from now, and no run ended later than now.
        """
        self.crash, end = past.crash, past.latest_end
        if self.crash is None:
            if end is not None:
                self._ended_at = now.mono - now.passed_since(end.finished_at)
            return
        over_mono = past.crash_over_mono
        if over_mono is None:
            ahead_s = (self.crash.updated_at - now.wall).total_seconds()
            over_mono = now.mono + min(ahead_s, self.crash.delay_s)
        self._crash_over_at = over_mono
        self._ended_at = over_mono - _waited_s(self.crash, end)

    def after_end(self, ended_at: datetime, ended_mono: float, *, condemned: bool = False) -> float:
        """Return how long the run that ended then, by both clocks, waits for the next.

        `condemned` says that a probe has ended it.
        """
        before, self._ended_at = self._ended_at, ended_mono
        rules = self._rules.restarts
        if not condemned:
            delay = after_crash(self.crash, ended_mono - self._crash_over_at, ended_at, rules)
        elif before is not None:
            since_s = before - self._crash_over_at
            delay = after_kill(self.crash, ended_mono - before, since_s, ended_at, rules)
        else:
            return 0.0
        self.crash = delay.following
        self._crash_over_at = ended_mono + delay.seconds
        return delay.seconds

    def crash_remains_s(self, now: Moment) -> float:
        """Return what is left of the wait after the latest crash."""
        return max(0.0, self._crash_over_at - now.mono)

    def after_preparation(self, reason: str, now: Moment) -> float:
        """Return how long the attempt that has just failed, for this reason, waits for the next."""
        if reason in LOOKED_FOR:
            return self._rules.images.initial_s
        delay = after_image_failure(self._image, now.wall, self._rules.images)
        self._image = delay.following
        return delay.seconds

    def image_found(self) -> None:
        self._image = None

    def forget(self) -> None:
        """Another image is another matter."""
        self.crash = self._image = None


def _waited_s(crash: BackOff, end: Terminated | None) -> float:
    """Return what this back-off had the run wait that ended last; 0 where nobody can say."""
    if end is None:
        return 0.0
    delay_s = (crash.updated_at - end.finished_at).total_seconds()
    # A clock that was set between the two makes a delay that no back-off ever gave.
    return delay_s if 0 < delay_s <= crash.delay_s else 0.0
