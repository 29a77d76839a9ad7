"""What the containers of one pod share: its plan, the rules, and whether the pod is ending."""

from enum import StrEnum
from typing import Final

import msgspec

from contract.messages.pod import PodPlan
from contract.messages.report import Occurrence
from wasm_executor.domain.backoff import BackOffRules
from wasm_executor.domain.checkpoint import Sentence
from wasm_executor.domain.effects import Effect, Happened
from wasm_executor.domain.moments import Moment

MIN_GRACE_S: Final = 2.0
"""The kubelet never gives less."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that a node may change, and tests do."""

    restarts: BackOffRules = BackOffRules()
    images: BackOffRules = BackOffRules()
    word_s: float = 5.0
    """How long a pod of an earlier life waits to hear whether it is still wanted."""
    error_shown_s: float = 2.0
    """How long an attempt's own reason is shown before its back-off is."""


class Cause(StrEnum):
    """Why a pod ends."""

    FINISHED = "finished"
    """Its containers have done what they were for, or one that all others wait for has failed."""
    CONDEMNED = "condemned"
    """The node ends it, for a reason that its status shows."""
    DELETED = "deleted"
    FORGOTTEN = "forgotten"
    HALTED = "halted"


SILENT: Final = frozenset({Cause.FORGOTTEN, Cause.HALTED})
"""Nobody is to hear of a pod that ends so."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The pod ends: no container of it starts again."""

    cause: Cause
    kill_at: float
    """On the monotonic clock: when whatever still runs gets SIGKILL."""
    hooks: bool = True
    """There is grace for preStop hooks."""

    def hastened(self, later: "Ending") -> "Ending":
        """Return this ending under a later cause. Grace only ever shrinks.

        A pod whose object is gone stays so: an executor that stops must not bring it back.
        """
        return Ending(
            cause=Cause.FORGOTTEN if self.cause is Cause.FORGOTTEN else later.cause,
            kill_at=min(self.kill_at, later.kill_at),
            hooks=self.hooks and later.hooks,
        )


class Frame:
    """Shared by a pod and its containers; collects what they want done."""

    def __init__(self, plan: PodPlan, rules: Rules) -> None:
        self.plan = plan
        self.rules = rules
        self.ending: Ending | None = None
        self.sentence: Sentence | None = None
        """Why the node ends the pod, if it does."""
        self.restarting_all = False
        """All containers end, to begin anew."""
        self._effects: list[Effect] = []

    @property
    def quiet(self) -> bool:
        """Nobody is to hear of this pod any more."""
        return self.ending is not None and self.ending.cause in SILENT

    @property
    def starts_nothing(self) -> bool:
        """Whatever ends now does not run again by itself."""
        return self.ending is not None or self.restarting_all

    @property
    def goes_on(self) -> bool:
        """What ends now is to run again: in the executor's next life, or with all others."""
        halted = self.ending is not None and self.ending.cause is Cause.HALTED
        return halted or self.restarting_all

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
        self.restarting_all = False
        kill_at = now.mono + max(MIN_GRACE_S, grace_s)
        ending = Ending(cause=cause, kill_at=kill_at, hooks=grace_s > 0)
        self.ending = ending if self.ending is None else self.ending.hastened(ending)
