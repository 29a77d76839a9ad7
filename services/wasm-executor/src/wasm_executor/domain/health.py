"""How one run of a container is: started, ready, alive, as its probes find it.

Liveness and readiness are not asked before the container has started; from then on they are asked
at once. While it is to end, only readiness is: traffic has to know when to go elsewhere.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from contract.messages.health import Probe
from contract.messages.pod import ContainerPlan
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.probing import CONCLUSIVE, Watch

FIRST_PROBE_AFTER_S: Final = 0.1
"""A guest needs a moment to listen; asked before it, it would wait a whole period for the next."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run that is taken over."""

    age_s: float
    started: bool
    ready: bool
    share: float
    """Of a period, after which it is probed again: there may be hundreds to take over."""


def probes_of(plan: ContainerPlan) -> Iterator[tuple[ProbeKind, Probe]]:
    """Return the probes that a container has."""
    wanted = {
        ProbeKind.STARTUP: plan.startup,
        ProbeKind.READINESS: plan.readiness,
        ProbeKind.LIVENESS: plan.liveness,
    }
    return ((kind, probe) for kind, probe in wanted.items() if probe is not None)


class Health:
    """Of one container: `begin` for each run, `watch` when it may be probed, `end` after it."""

    def __init__(self) -> None:
        self.started = False
        self.ready = False
        self._watches: dict[ProbeKind, Watch] = {}
        self.begun_at = 0.0

    def begin(self, now: Moment) -> None:
        """A new run: nothing is known of it, and nobody asks yet."""
        self.begun_at = now.mono

    def watch(self, plan: ContainerPlan, now: Moment) -> None:
        """Ask from here on; delays count from when the run began."""
        self._watches = {kind: Watch(kind, probe) for kind, probe in probes_of(plan)}
        startup = self._watches.get(ProbeKind.STARTUP)
        if startup is None:
            self._start(now)
        else:
            startup.resume(self._first(startup))

    def take_over(self, plan: ContainerPlan, past: Past, now: Moment) -> None:
        """Go on with a run that a supervisor before this one has probed: nothing flips."""
        self.begun_at = now.mono - past.age_s
        self.watch(plan, now)
        if past.started and not self.started:
            self._watches[ProbeKind.STARTUP].close()
            self._start(now)
        self.ready = self.started and (past.ready or ProbeKind.READINESS not in self._watches)
        for watch in self._watches.values():
            if watch.due_at is not None:
                later = now.mono + past.share * watch.probe.period_s
                watch.resume(max(self._first(watch), later))
        readiness = self._watches.get(ProbeKind.READINESS)
        if readiness is not None and self.ready:
            readiness.passed = True

    def leave(self) -> None:
        """It is to end: whether it lives is nobody's question any more."""
        for kind in CONCLUSIVE:
            if kind in self._watches:
                self._watches[kind].close()

    def end(self) -> None:
        """The run is over."""
        self.started = self.ready = False
        self._watches = {}

    def next_at(self) -> float | None:
        times = (each.due_at for each in self._watches.values())
        return min((each for each in times if each is not None), default=None)

    def due(self, now: Moment) -> Iterator[Watch]:
        """Return what is to be asked now; each counts as under way from here on."""
        for watch in self._watches.values():
            if watch.due_at is not None and watch.due_at <= now.mono:
                watch.asked(now.mono)
                yield watch

    def answered(self, kind: ProbeKind, verdict: Verdict, now: Moment) -> bool:
        """Take a result; return whether it condemns the run."""
        watch = self._watches.get(kind)
        if watch is None or not watch.answered(verdict):
            return False
        match kind:
            case ProbeKind.READINESS:
                self.ready = bool(watch.passed)
            case ProbeKind.STARTUP if watch.passed:
                self._start(now)
        return kind in CONCLUSIVE and not watch.passed

    def _start(self, now: Moment) -> None:
        self.started = True
        self.ready = ProbeKind.READINESS not in self._watches
        for kind in (ProbeKind.READINESS, ProbeKind.LIVENESS):
            if kind in self._watches:
                watch = self._watches[kind]
                watch.resume(max(self._first(watch), now.mono))

    def _first(self, watch: Watch) -> float:
        return self.begun_at + max(watch.probe.initial_delay_s, FIRST_PROBE_AFTER_S)
