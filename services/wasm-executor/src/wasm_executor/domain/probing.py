"""One probe of one run: when it is due, and what its results add up to.

The kubelet's rules. A result counts once it has come up as often in a row as its threshold says; a
probe that goes wrong itself counts as nothing. What a startup or liveness probe has concluded is
for good: only another run is asked again.
"""

from typing import Final

from contract.messages.health import Probe
from wasm_executor.domain.checks import ProbeKind, Verdict

CONCLUSIVE: Final = frozenset({ProbeKind.STARTUP, ProbeKind.LIVENESS})


class Watch:
    """Asks for one run, again and again. All moments are on the monotonic clock."""

    def __init__(self, kind: ProbeKind, probe: Probe) -> None:
        self.kind = kind
        self.probe = probe
        self.due_at: float | None = None
        """None while it is suspended, or under way."""
        self.passed: bool | None = None
        """What has been concluded; None before."""
        self._asked_at = 0.0
        self._streak = 0
        self._latest: Verdict | None = None
        self._over = False

    def resume(self, due_at: float) -> None:
        """Ask from this moment on."""
        if not self._over:
            self.due_at = due_at

    def suspend(self) -> None:
        self.due_at = None

    def close(self) -> None:
        """Never ask again; what has been concluded stays."""
        self._over, self.due_at = True, None

    def asked(self, now_mono: float) -> None:
        """It is under way: its answer says when it is due again.

        A late timer does not shift those after it, and neither does one that has missed some:
        after a stall, all would be asked at once from then on.
        """
        due_at = now_mono if self.due_at is None else self.due_at
        period_s = self.probe.period_s
        self._asked_at = due_at + (now_mono - due_at) // period_s * period_s
        self.due_at = None

    def answered(self, verdict: Verdict) -> bool:
        """Take a result; return whether it concludes something that was not known before."""
        if self._over:
            return False
        self.due_at = self._asked_at + self.probe.period_s
        if verdict is Verdict.UNKNOWN:
            return False
        self._streak = self._streak + 1 if verdict is self._latest else 1
        self._latest = verdict
        passed = verdict is Verdict.SUCCESS
        threshold = self.probe.success_threshold if passed else self.probe.failure_threshold
        if self._streak < threshold or self.passed is passed:
            return False
        self.passed = passed
        if self.kind is ProbeKind.STARTUP or (self.kind is ProbeKind.LIVENESS and not passed):
            self.close()
        return True
