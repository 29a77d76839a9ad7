"""When a Lease may be taken, renewed or must be left alone. Pure: clocks are passed in.

Other machines' wall clocks are never believed: what counts is for how long *we* have seen the
record unchanged, on a clock of our own that no one sets.
"""

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from kubekit.errors import KubekitError


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """client-go's measures. A leader gives up before anybody else may begin."""

    lease_duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.lease_duration_s > self.renew_deadline_s > self.retry_period_s > 0:
            raise KubekitError(
                "election: lease duration > renew deadline > retry period > 0 does not hold"
            )


class Term(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One uninterrupted leadership; a later one compares greater, even over a deleted Lease."""

    created_at: datetime
    uid: str
    transitions: int


ZERO: Final = Term(created_at=datetime.fromtimestamp(0, UTC), uid="", transitions=0)


class LeaseMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What makes a Lease this Lease, in this version."""

    uid: str
    resource_version: str
    creation_timestamp: datetime


class LeaseSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """coordination.k8s.io/v1 LeaseSpec; times stay text, for they are only compared for change."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A Lease as read."""

    metadata: LeaseMeta
    spec: LeaseSpec = LeaseSpec()

    def term(self) -> Term:
        """The term of whoever holds it in this version."""
        meta = self.metadata
        return Term(
            created_at=meta.creation_timestamp,
            uid=meta.uid,
            transitions=self.spec.lease_transitions or 0,
        )


class Move(StrEnum):
    """What a candidate does next."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


class Contest:
    """What one candidate has seen of the Lease, and what follows from it."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self._identity = identity
        self._timing = timing
        self._observed_at = 0.0
        self.lease: Lease | None = None

    def observe(self, lease: Lease | None, now: float) -> None:
        """The Lease was read (None: there is none). Unchanged, it keeps its age."""
        changed = lease is None or self.lease is None or lease.spec != self.lease.spec
        if changed:
            self._observed_at = now
        self.lease = lease

    def move(self, now: float, *, leading: bool) -> Move:
        """The next move."""
        if self.lease is None:
            return Move.CREATE
        holder = self.lease.spec.holder_identity
        if holder == self._identity:
            # Ours from a term that lapsed (or from a write whose answer was lost): a new term.
            return Move.RENEW if leading else Move.TAKE
        if not holder or now >= self._observed_at + self._duration_s(self.lease):
            return Move.TAKE
        return Move.WAIT

    def spec(self, move: Move, wall: datetime) -> dict[str, Any]:
        """The Lease's spec after this move of ours."""
        before = self.lease.spec if self.lease else LeaseSpec()
        now = micro_time(wall)
        spec: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._timing.lease_duration_s),
            "renewTime": now,
        }
        if move is Move.CREATE:
            return spec | {"acquireTime": now, "leaseTransitions": 0}
        if move is Move.TAKE:
            transitions = (before.lease_transitions or 0) + 1
            return spec | {"acquireTime": now, "leaseTransitions": transitions}
        return spec

    def _duration_s(self, lease: Lease) -> float:
        return float(lease.spec.lease_duration_seconds or self._timing.lease_duration_s)


def released(wall: datetime) -> dict[str, Any]:
    """The spec of a Lease that its holder gives back; the transitions stay as they are."""
    now = micro_time(wall)
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "renewTime": now,
        "acquireTime": now,
    }


def micro_time(wall: datetime) -> str:
    """metav1.MicroTime: always six digits, always Z."""
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
