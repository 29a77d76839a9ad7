"""How one container is brought to its end, whoever wants it: its pod, a probe, a new image.

The kubelet's order: the preStop hook runs within the grace, then the container waits for its turn,
then it is told to end, and at the end of the grace, but never within two seconds, it is killed.
"""

import signal
from typing import Final

from contract.messages.pod import ContainerRole, Drain
from contract.messages.report import Waiting
from wasm_executor.domain import occurrences, verdicts
from wasm_executor.domain.checks import HookKind, ProbeKind
from wasm_executor.domain.core import Core
from wasm_executor.domain.departure import Departure
from wasm_executor.domain.effects import (
    AbandonHook,
    AbandonImage,
    AbandonRun,
    AbandonStart,
    CloseStdin,
    PlaceDrainFile,
    SignalRun,
)
from wasm_executor.domain.frame import MIN_GRACE_S, Cause
from wasm_executor.domain.health import probes_of
from wasm_executor.domain.inputs import RunEnded
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pause import INIT_ROLES, hook_waiting
from wasm_executor.domain.states import ALIVE, STAYING, UNDERWAY, Event, Phase
from wasm_executor.domain.verdicts import After

KILL_AGAIN_S: Final = 2.0
HOOK_KILL: Final = "FailedPostStartHook"
STOPPED_CODES: Final = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
"""Of a guest that does not drain: it is not asked, and says nothing."""
RESET_KILL: Final = "killing"
ENDS_SHOWN: Final = (Cause.DELETED, Cause.FORGOTTEN, Cause.CONDEMNED)
"""Why a pod ends, where a container that never ran is shown as lost."""


class Stopping:
    """One container's; what it knows concerns the current run alone."""

    def __init__(self, core: Core) -> None:
        self._of = core
        self._departure: Departure | None = None
        self.replaced = False
        """Another image takes its place, whatever the policy says."""
        self.decided: After | None = None
        """What follows on its end, where its exit code is not to say."""
        self.condemned = False
        """A probe says that it has to go."""
        self.memory_exceeded = False
        self.unhooked: Waiting | None = None
        """What is to be shown of its postStart hook, if it ends because that has failed."""
        self._is_lost = False
        """Its pod has ended before it ever ran."""

    def goes_on(self, end: RunEnded) -> bool:
        """Say whether the executor's own stop has ended this run: the next life takes it up again.

        Neither code nor policy is asked then: that was not its own doing. What went for a reason
        of its own goes on only if it was to be replaced.
        """
        core, way = self._of, self._departure
        ending = core.frame.ending
        if ending is None or ending.cause is not Cause.HALTED or way is None:
            return False
        if not way.in_order or self.memory_exceeded:
            return self.decided is After.RESTART
        return core.plan.role is not ContainerRole.EPHEMERAL and self._was_told_before(end)

    def _was_told_before(self, end: RunEnded) -> bool:
        """Say whether the word to end was what ended it; it may have been on its way out then."""
        way = self._departure
        if way is None or way.spared_until <= 0 or self._of.phase is not Phase.STOPPING:
            return False
        told_at = way.spared_until - MIN_GRACE_S
        if end.at_mono is not None and end.at_mono <= told_at:
            return False
        return self._of.frame.plan.drain is not Drain.NONE or end.exit_code in STOPPED_CODES

    def forget(self) -> None:
        """The next run is another matter."""
        self._departure = self.decided = None
        self.replaced = self.condemned = self.memory_exceeded = False
        self.unhooked = None

    # Who wants it

    def stop(self, now: Moment) -> None:
        """The pod ends, or ends sooner: end too, at once where nothing runs."""
        ending = self._of.frame.ending
        assert ending is not None
        phase = self._of.phase
        if phase in ALIVE:
            self._of.history.show_run()  # nobody waits for its postStart hook any more
        if phase in STAYING:
            self._of.frame.tell(occurrences.killing(self._of.plan, now))
            self._leave(ending.kill_at, hooks=ending.hooks, in_order=True)
        elif phase is Phase.LEAVING:
            self._hasten(ending.kill_at, hooks=ending.hooks)
        elif phase is Phase.STOPPING:
            assert self._departure is not None
            kill_at = max(ending.kill_at, self._departure.spared_until)
            self._of.pause.wake_at = min(self._of.pause.wake_at or kill_at, kill_at)
        elif phase is Phase.STARTING:
            self._of.frame.want(AbandonStart(container=self._of.plan.name))
        elif phase is not Phase.ENDED:
            self._discard(ending.cause)

    def reset(self, now: Moment) -> None:
        """All containers begin anew: end without grace."""
        phase = self._of.phase
        if phase in STAYING:
            self._of.frame.tell(occurrences.killing(self._of.plan, now, RESET_KILL))
            self._leave(now.mono, hooks=False, in_order=False)
        elif phase is Phase.STARTING:
            self._of.frame.want(AbandonStart(container=self._of.plan.name))
        elif phase not in UNDERWAY and phase not in (Phase.ENDED, Phase.PENDING):
            self._discard(Cause.HALTED)

    def account(self, now: Moment) -> None:
        """The whole pod is over: only now is a container that never ran shown as lost."""
        if self._is_lost:
            self._is_lost = False
            self._of.pause.clear()
            self._of.history.latest_end = verdicts.never_ran(now.wall)

    def replace(self, now: Moment) -> None:
        """Another image is wanted."""
        self.replaced, self.decided = True, After.RESTART
        self._end_alone(occurrences.redefined(self._of.plan), None, now)

    def condemn(self, kind: ProbeKind, now: Moment) -> None:
        """A startup or liveness probe says that it has to go."""
        core = self._of
        restarts = verdicts.replaces_killed(core.frame.plan, core.plan)
        self.condemned = True
        # Where the policy does not, its rules may restart it yet, by the code that it ends with.
        self.decided = After.RESTART if restarts else None
        text = occurrences.condemned(core.plan, kind, restarts=restarts)
        grace_s = dict(probes_of(core.plan))[kind].termination_grace_s
        self._end_alone(text, grace_s, now)

    def end_after_failed_hook(self, failure: str, now: Moment) -> None:
        self.unhooked = hook_waiting(failure)
        self._end_alone(HOOK_KILL, None, now)

    def exceed_memory(self, run: int) -> None:
        core = self._of
        known = self.memory_exceeded or run != core.history.run
        if not known and core.phase in UNDERWAY:
            self.memory_exceeded = True
            self._signal(signal.SIGKILL)

    # How it goes

    def hook_over(self) -> None:
        if self._departure is not None:
            self._departure.hook_runs = False

    def go_if_free(self, now: Moment, *, turn: bool) -> None:
        """Tell it to end, unless its hook runs or it is not its turn."""
        way = self._departure
        if self._of.phase is not Phase.LEAVING or way is None or way.hook_runs:
            return
        if turn or not way.in_order:
            self._send_stop(way.until, now)

    def wake(self, now: Moment) -> None:
        """The grace is over: tell it to end, or kill it."""
        core, way = self._of, self._departure
        if core.phase is Phase.LEAVING:
            assert way is not None
            if way.hook_runs:
                core.frame.want(AbandonHook(container=core.plan.name))
            self._send_stop(way.until, now)
        elif core.phase is Phase.STOPPING:
            core.pause.wake_at = now.mono + KILL_AGAIN_S
            self._signal(signal.SIGKILL)
            if core.frame.quiet:
                run = core.history.run
                core.frame.want(AbandonRun(container=core.plan.name, run=run))

    def _end_alone(self, text: str, grace_s: float | None, now: Moment) -> None:
        """It ends for its own sake, and waits for nobody."""
        core = self._of
        core.frame.tell(occurrences.killing(core.plan, now, text))
        own_s = core.frame.plan.termination_grace_s
        given_s = own_s if grace_s is None else grace_s
        self._leave(now.mono + given_s, hooks=given_s > 0, in_order=False)

    def _leave(self, until: float, *, hooks: bool, in_order: bool) -> None:
        core = self._of
        if core.phase is Phase.POST_START:
            core.frame.want(AbandonHook(container=core.plan.name))
        core.move(Event.LEAVE_BEGUN)
        core.health.leave()
        core.pause.wake_at = until
        hook_runs = hooks and core.plan.pre_stop is not None
        self._departure = Departure(until=until, in_order=in_order, hook_runs=hook_runs)
        if hook_runs:
            core.want_hook(HookKind.PRE_STOP)

    def _hasten(self, until: float, *, hooks: bool) -> None:
        core, way = self._of, self._departure
        assert way is not None
        if way.hasten(until, hooks=hooks):
            core.frame.want(AbandonHook(container=core.plan.name))
        core.pause.wake_at = way.until

    def _send_stop(self, until: float, now: Moment) -> None:
        core = self._of
        core.move(Event.STOP_SENT)
        assert self._departure is not None
        self._departure.spared_until = now.mono + MIN_GRACE_S
        core.pause.wake_at = max(until, self._departure.spared_until)
        name, run = core.plan.name, core.history.run
        match core.frame.plan.drain:
            case Drain.STDIN_EOF:
                core.frame.want(CloseStdin(container=name, run=run))
            case Drain.FILE:
                core.frame.want(PlaceDrainFile(container=name, run=run))
            case Drain.NONE:
                self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        run = self._of.history.run
        self._of.frame.want(SignalRun(container=self._of.plan.name, run=run, signum=number))

    def _discard(self, cause: Cause) -> None:
        """Nothing of it runs, and nothing will."""
        core = self._of
        if core.phase is Phase.PREPARING:
            core.frame.want(AbandonImage(container=core.plan.name))
        # Of an ephemeral one a kubelet never says so: it goes on waiting, for ever.
        is_ephemeral = core.plan.role is ContainerRole.EPHEMERAL
        shows_end = cause in ENDS_SHOWN and not is_ephemeral
        never_begun = core.phase is Phase.PENDING and any(
            each.role in INIT_ROLES for each in core.frame.plan.containers
        )
        waiting = core.pause.shown
        core.move(Event.DISCARDED)
        core.pause.clear()
        if core.history.latest_end is None:
            core.pause.shown = waiting
            self._is_lost = shows_end and not never_begun
