"""How long a container waits before its next attempt, by the kubelet's rules.

Crashes: the first restart is immediate and registers 10 s for the next one; each further one
doubles it up to 300 s; a run that outlasts 600 s starts over. Images: the first failure already
waits. Every number is a setting, so that tests need not wait.
"""

from datetime import datetime, timedelta

import msgspec


class BackOffRules(msgspec.Struct, frozen=True, kw_only=True):
    """The kubelet's numbers."""

    initial_s: float = 10.0
    max_s: float = 300.0
    reset_after_s: float = 600.0
    """A run this long after the last restart proves the container well."""

    def doubled(self, delay_s: float) -> float:
        return min(delay_s * 2, self.max_s)


class BackOff(msgspec.Struct, frozen=True, kw_only=True):
    """What the next failure will wait, and since when that holds."""

    delay_s: float
    updated_at: datetime
    """For those who read it after a restart; while we live, the monotonic clock counts."""


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """The wait after a failure, and what it leaves for the next."""

    seconds: float
    following: BackOff


def after_crash(
    previous: BackOff | None, since_update_s: float, ended_at: datetime, rules: BackOffRules
) -> Delay:
    """Return how long a run that ended now waits for the next.

    `since_update_s` is how long ago the previous back-off was over.
    """
    if previous is None or since_update_s > rules.reset_after_s:
        following = BackOff(delay_s=min(rules.initial_s, rules.max_s), updated_at=ended_at)
        return Delay(seconds=0.0, following=following)
    return _next(previous.delay_s, ended_at, rules)


def after_kill(
    previous: BackOff | None,
    since_end_s: float,
    since_update_s: float,
    ended_at: datetime,
    rules: BackOffRules,
) -> Delay:
    """Return the same for a run that a probe has ended: it waits for what was before it.

    The kubelet starts the next run in the step that kills this one, and so looks at the end before:
    that was `since_end_s` ago, and `since_update_s` after the previous back-off was over.
    """
    delay = after_crash(previous, since_update_s, ended_at, rules)
    if since_end_s < delay.seconds:
        return delay
    following = BackOff(delay_s=delay.following.delay_s, updated_at=ended_at)
    return Delay(seconds=0.0, following=following)


def after_image_failure(previous: BackOff | None, at: datetime, rules: BackOffRules) -> Delay:
    """Return how long a failed attempt at an image waits for the next."""
    first_s = min(rules.initial_s, rules.max_s)
    return _next(first_s if previous is None else previous.delay_s, at, rules)


def _next(delay_s: float, at: datetime, rules: BackOffRules) -> Delay:
    following = BackOff(delay_s=rules.doubled(delay_s), updated_at=at + timedelta(seconds=delay_s))
    return Delay(seconds=delay_s, following=following)


def go_duration(seconds: float) -> str:
    """Write a delay as Go does: `10s`, `1m20s`, `5m0s`, `500ms`."""
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:  # noqa: PLR2004 - of a second
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
