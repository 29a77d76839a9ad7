"""Whether a Node's Lease is renewed: only for an executor that is known to live.

A lost bus must not look like a dead Node, so silence alone lets no Lease go: before that, the
log-server's `/healthz` is asked, which reaches the executor by another way.
"""

from enum import StrEnum
from typing import Final


class Beat(StrEnum):
    """The last beat of the holder."""

    FRESH = "fresh"
    STALE = "stale"


class Health(StrEnum):
    """What `/healthz` of the holder's log-server said."""

    UNASKED = "unasked"
    OK = "ok"
    FAILED = "failed"


class Verdict(StrEnum):
    """What follows for the Lease."""

    RENEW = "renew"
    ASK = "ask"
    LET_GO = "let_go"


VERDICTS: Final[dict[Beat, dict[Health, Verdict]]] = {
    Beat.FRESH: dict.fromkeys(Health, Verdict.RENEW),
    Beat.STALE: {
        Health.UNASKED: Verdict.ASK,
        Health.OK: Verdict.RENEW,
        Health.FAILED: Verdict.LET_GO,
    },
}


def beat_of(heard_at: float | None, now: float, fresh_s: float) -> Beat:
    """Return how old the last sign of life is; None: there was none."""
    if heard_at is None or now - heard_at >= fresh_s:
        return Beat.STALE
    return Beat.FRESH


def verdict(beat: Beat, health: Health) -> Verdict:
    """Return what follows for the Lease."""
    return VERDICTS[beat][health]
