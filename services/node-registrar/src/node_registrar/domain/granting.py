"""Who may have a Node's name: one incarnation of one executor, whoever else asks.

Two executors under one name would run every pod twice. So another id gets a held name only when
its holder gave it back, or when it has been silent for longer than its Lease *and* its `/healthz`
fails. The same id with a higher start count needs neither: the lock on the data directory proves
that the older life is over.
"""

from enum import StrEnum
from typing import Final

import msgspec

from contract.messages.form import Incarnation

INCARNATION: Final = "wasmlet.dev/incarnation"
"""The Node annotation with the holder, `<id>/<count>`."""
RELEASED: Final = "wasmlet.dev/released"
"""The Node annotation with the incarnation that gave the name back; another value says nothing."""


class Tenure(StrEnum):
    """What is known of the present holder."""

    VACANT = "vacant"
    HELD = "held"
    SILENT = "silent"
    DEAD = "dead"
    RELEASED = "released"


class Claim(StrEnum):
    """Who asks, seen from the present holder."""

    SAME = "same"
    NEWER = "newer"
    OLDER = "older"
    OTHER = "other"


class Outcome(StrEnum):
    """What the one who asks gets. `PROBE`: ask the holder's `/healthz`, then decide again."""

    CONFIRM = "confirm"
    GRANT = "grant"
    REFUSE = "refuse"
    PROBE = "probe"


OUTCOMES: Final[dict[Tenure, dict[Claim, Outcome]]] = {
    Tenure.VACANT: dict.fromkeys(Claim, Outcome.GRANT),
    Tenure.HELD: {
        Claim.SAME: Outcome.CONFIRM,
        Claim.NEWER: Outcome.GRANT,
        Claim.OLDER: Outcome.REFUSE,
        Claim.OTHER: Outcome.REFUSE,
    },
    Tenure.SILENT: {
        Claim.SAME: Outcome.CONFIRM,
        Claim.NEWER: Outcome.GRANT,
        Claim.OLDER: Outcome.REFUSE,
        Claim.OTHER: Outcome.PROBE,
    },
    Tenure.DEAD: {
        Claim.SAME: Outcome.CONFIRM,
        Claim.NEWER: Outcome.GRANT,
        Claim.OLDER: Outcome.REFUSE,
        Claim.OTHER: Outcome.GRANT,
    },
    Tenure.RELEASED: {
        Claim.SAME: Outcome.GRANT,
        Claim.NEWER: Outcome.GRANT,
        Claim.OLDER: Outcome.REFUSE,
        Claim.OTHER: Outcome.GRANT,
    },
}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds one name, as it is recorded. `VACANT_GRANT`: nobody ever did."""

    holder: Incarnation | None = None
    released: bool = False

    @property
    def in_force(self) -> bool:
        """Whether there is a holder that has not given the name back."""
        return self.holder is not None and not self.released

    def held_by(self, who: Incarnation) -> bool:
        """Whether exactly this life holds the name now."""
        return self.in_force and self.holder == who


VACANT_GRANT: Final = Grant()


def tenure(grant: Grant, *, silent_s: float, lease_s: float, healthy: bool | None) -> Tenure:
    """Return what is known of the holder. `healthy` is `/healthz`, None if it was not asked."""
    if grant.holder is None:
        return Tenure.VACANT
    if grant.released:
        return Tenure.RELEASED
    if silent_s <= lease_s or healthy:
        return Tenure.HELD
    return Tenure.SILENT if healthy is None else Tenure.DEAD


def claim(grant: Grant, who: Incarnation) -> Claim:
    """Return who asks, seen from the holder."""
    holder = grant.holder
    if holder is None or holder.executor_id != who.executor_id:
        return Claim.OTHER
    if who.start_count == holder.start_count:
        return Claim.SAME
    return Claim.NEWER if who.start_count > holder.start_count else Claim.OLDER


def decide(known: Tenure, asking: Claim) -> Outcome:
    """Return what the one who asks gets."""
    return OUTCOMES[known][asking]


def evicted(grant: Grant, new_holder: Incarnation) -> str | None:
    """Return the executor id that has to hear that its name went to another, if there is one."""
    before = grant.holder
    if before is None or before.executor_id == new_holder.executor_id:
        return None
    return before.executor_id


def annotations_of(grant: Grant) -> dict[str, str | None]:
    """Return the annotations that record a grant; None removes one."""
    if grant.holder is None:
        return {INCARNATION: None, RELEASED: None}
    text = f"{grant.holder.executor_id}/{grant.holder.start_count}"
    return {INCARNATION: text, RELEASED: text if grant.released else None}


def grant_of(annotations: dict[str, str]) -> Grant:
    """Return the grant that a Node's annotations record; unreadable ones record none."""
    text = annotations.get(INCARNATION, "")
    executor_id, _, count = text.rpartition("/")
    if not executor_id or not count.isascii() or not count.isdigit():
        return VACANT_GRANT
    holder = Incarnation(executor_id=executor_id, start_count=int(count))
    return Grant(holder=holder, released=annotations.get(RELEASED) == text)
