"""What the containers of one pod share: its plan, the rules, and whether the pod is ending."""

from enum import StrEnum
from typing import Final

import msgspec

from contract.messages.pod import PodPlan
from contract.messages.report import Occurrence
from wasm_executor.domain.backoff import BackOffRules
from wasm_executor.domain.effects import Effect, Happened
from wasm_executor.domain.moments import Moment

MIN_GRACE_S: Final = 2.0
"""The kubelet never gives less."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a node may change, and tests do."""

    restarts: BackOffRules = BackOffRules()
    images: BackOffRules = BackOffRules()
    error_shown_s: float = 2.0
    """How long an attempt's own reason is shown before its back-off is."""


class Cause(StrEnum):
    """Why a pod ends."""

    DELETED = "deleted"
    FORGOTTEN = "forgotten"
    HALTED = "halted"


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The pod ends: no container of it starts again."""

    cause: Cause
    kill_at: float
    """On the monotonic clock: when whatever still runs gets SIGKILL."""

    def hastened(self, cause: Cause, kill_at: float) -> "Ending":
        """Return this ending under a later cause. Grace only ever shrinks."""
        return Ending(cause=cause, kill_at=min(self.kill_at, kill_at))


class Frame:
    """Shared by a pod and its containers; collects what they want done."""

    def __init__(self, plan: PodPlan, rules: Rules) -> None:
        self.plan = plan
        self.rules = rules
        self.ending: Ending | None = None
        self._effects: list[Effect] = []

    @property
    def quiet(self) -> bool:
        """Nobody is to hear of this pod any more."""
        return self.ending is not None and self.ending.cause is not Cause.DELETED

    def want(self, effect: Effect) -> None:
        self._effects.append(effect)

    def tell(self, *occurrences: Occurrence) -> None:
        if not self.quiet:
            self._effects.extend(Happened(occurrence=each) for each in occurrences)

    def taken(self) -> list[Effect]:
        """Return what was wanted since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def end(self, cause: Cause, grace_s: float, now: Moment) -> None:
        """Begin the end, or hasten it."""
        kill_at = now.mono + max(MIN_GRACE_S, grace_s)
        if self.ending is None:
            self.ending = Ending(cause=cause, kill_at=kill_at)
        else:
            self.ending = self.ending.hastened(cause, kill_at)
