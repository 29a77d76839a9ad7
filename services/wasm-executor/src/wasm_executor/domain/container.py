"""The life of one container: what each input does to it, and what it then wants done.

Nothing here waits. The pod's task calls `wake` when the moment of `pause.wake_at` has come.
"""

import signal
from datetime import datetime
from typing import Final

from contract.messages.pod import ContainerPlan, Drain
from contract.messages.report import Terminated, Waiting
from wasm_executor.domain import occurrences, verdicts
from wasm_executor.domain.backoff import BackOff, after_crash, after_image_failure
from wasm_executor.domain.checkpoint import ContainerRecord
from wasm_executor.domain.effects import (
    AbandonImage,
    AbandonRun,
    AbandonStart,
    CloseStdin,
    ForgetRun,
    PrepareImage,
    SignalRun,
    StartRun,
)
from wasm_executor.domain.frame import Cause, Frame
from wasm_executor.domain.history import History
from wasm_executor.domain.inputs import (
    ImagePrepared,
    PreparationFailed,
    RunEnded,
    RunRefused,
    RunStarted,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pause import Pause, crash_waiting
from wasm_executor.domain.states import ALIVE, UNDERWAY, Event, Phase, advance

RUN_ERROR: Final = "RunContainerError"
IMAGE_BACK_OFF: Final = "ImagePullBackOff"
KILL_AGAIN_S: Final = 2.0


class Container:
    """One container of a pod, between its first turn and its last end."""

    def __init__(self, frame: Frame, plan: ContainerPlan) -> None:
        self.frame = frame
        self.plan = plan
        self.phase = Phase.PENDING
        self.history = History(frame.plan.uid, plan.name)
        self.pause = Pause()
        self.tried = False
        """Its first attempt is over: the next container's turn has come."""
        self.pid: int | None = None
        self._attempt = 0
        self._image_back_off: BackOff | None = None
        self._memory_exceeded = False
        self._redefined = False
        self._early_end: RunEnded | None = None

    def record(self) -> ContainerRecord:
        """Return what must survive."""
        halted = self.frame.ending is not None and self.frame.ending.cause is Cause.HALTED
        ended = self.phase is Phase.ENDED and not halted
        return self.history.record(self.plan.name, underway=self.phase in UNDERWAY, ended=ended)

    # Coming up

    def resume(self, pid: int | None, started_at: datetime, now: Moment) -> None:
        """Be what a supervisor before this one left running."""
        self.phase = Phase.RUNNING
        self.history.resume_run(started_at)
        self.pause.clear()
        self.pid = pid
        self.tried = True
        if self.history.image not in ("", self.plan.image):
            self._replace(now)

    def begin(self) -> None:
        self._prepare_after(Event.BEGUN)

    def image_prepared(self, news: ImagePrepared) -> None:
        if self.phase is not Phase.PREPARING or news.attempt != self._attempt:
            return
        self._move(Event.IMAGE_READY)
        self.history.image_id = news.image_id
        self._image_back_off = None
        self._redefined = self._memory_exceeded = False  # whatever was told of a run that failed
        run = self.history.begin_run(self.plan.image)
        self.frame.want(StartRun(container=self.plan.name, attempt=self._attempt, run=run))

    def preparation_failed(self, news: PreparationFailed, now: Moment) -> None:
        if news.attempt != self._attempt or self.phase not in (Phase.PREPARING, Phase.STARTING):
            return
        if self.phase is Phase.STARTING:
            self.history.run_never_was()
        self.tried = True
        self._move(Event.PREPARATION_FAILED)
        delay = after_image_failure(self._image_back_off, now.wall, self.frame.rules.images)
        self._image_back_off = delay.following
        shown = Waiting(reason=news.reason, message=news.message)
        if news.back_off_message is None:
            self.pause.hold(shown, delay.seconds, now)
        else:
            afterwards = Waiting(reason=IMAGE_BACK_OFF, message=news.back_off_message)
            shown_s = self.frame.rules.error_shown_s
            self.pause.hold_then(shown, afterwards, shown_s, delay.seconds, now)
        if self.frame.ending is not None:
            self.stop(now)

    def started(self, news: RunStarted, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.history.run:
            return
        self._move(Event.STARTED)
        self.tried = True
        self.pid = news.pid
        self.pause.clear()
        self.history.show_run()
        self.history.started_at = news.at
        self.frame.tell(*occurrences.started(self.plan, now))
        if self._early_end is not None:
            self.ended(self._early_end, now)
        elif self.frame.ending is not None:
            self.stop(now)
        elif self._redefined:
            self._replace(now)

    def refused(self, news: RunRefused, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.history.run:
            return
        self.tried = True
        self.history.show_run()
        self._keep_end(verdicts.not_started(news.message, now.wall, self.history.current_id))
        self.frame.tell(*occurrences.start_failed(self.plan, now, news.message))
        if self._is_over(verdicts.START_ERROR_CODE):
            self._move(Event.NOT_STARTED_FOR_GOOD)
            return
        self._move(Event.NOT_STARTED)
        delay_s = self._next_crash(now.wall)
        shown = Waiting(reason=RUN_ERROR, message=news.message)
        shown_s = self.frame.rules.error_shown_s
        afterwards = crash_waiting(self.frame.plan, self.plan.name, delay_s)
        self.pause.hold_then(shown, afterwards, shown_s, max(delay_s, shown_s), now)

    # Ending

    def ended(self, news: RunEnded, now: Moment) -> None:
        if news.run == self.history.run and self.phase is Phase.STARTING:
            self._early_end = news  # the answer to the spawn says what it was
            return
        self.frame.want(ForgetRun(container=self.plan.name, run=news.run))
        if news.run != self.history.run or self.phase not in ALIVE:
            return
        self._keep_end(verdicts.ended(news, self.history.current_id, self._memory_exceeded))
        self._after_end(news, now)

    def memory_exceeded(self, run: int) -> None:
        if run == self.history.run and self.phase in UNDERWAY and not self._memory_exceeded:
            self._memory_exceeded = True
            self._signal(signal.SIGKILL)

    def stop(self, now: Moment) -> None:
        """The pod ends: end too, at once where nothing runs."""
        ending = self.frame.ending
        assert ending is not None
        if self.phase is Phase.STOPPING:
            self.pause.wake_at = min(self.pause.wake_at or ending.kill_at, ending.kill_at)
        elif self.phase is Phase.RUNNING:
            self.frame.tell(occurrences.killing(self.plan, now))
            self._send_stop(ending.kill_at)
        elif self.phase is Phase.STARTING:
            self.frame.want(AbandonStart(container=self.plan.name))
        elif self.phase is not Phase.ENDED:
            self._discard(ending.cause, now)

    def redefine(self, plan: ContainerPlan, now: Moment) -> None:
        """Take a changed plan; another image replaces what runs and resets every back-off."""
        changed = plan.image != self.plan.image
        self.plan = plan
        if not changed or self.phase in (Phase.PENDING, Phase.ENDED):
            return
        self.history.crash = self._image_back_off = None
        if self.phase is Phase.RUNNING:
            self._replace(now)
        elif self.phase is Phase.STARTING:
            self._redefined = True
        elif self.phase is Phase.PREPARING:
            self.frame.want(AbandonImage(container=plan.name))
            self._prepare()
        elif self.phase is not Phase.STOPPING:
            self._prepare_after(Event.DELAY_PASSED)

    def wake(self, now: Moment) -> None:
        """Do what the time has come for."""
        if self.pause.wake_at is None or now.mono < self.pause.wake_at:
            return
        if self.phase is Phase.STOPPING:
            self.pause.wake_at = now.mono + KILL_AGAIN_S
            self._signal(signal.SIGKILL)
            if self.frame.quiet:
                self.frame.want(AbandonRun(container=self.plan.name, run=self.history.run))
        elif self.pause.is_due(now):
            self._prepare_after(Event.DELAY_PASSED)
        else:
            self._show_back_off(now)

    def back_off(self, delay_s: float, remaining_s: float, now: Moment) -> None:
        """Show the crash back-off, and wait out what remains of it."""
        self.pause.hold(crash_waiting(self.frame.plan, self.plan.name, delay_s), remaining_s, now)

    # Steps

    def _move(self, event: Event) -> None:
        self.phase = advance(self.phase, event)
        self.pause.wake_at = None

    def _prepare(self) -> None:
        self._attempt += 1
        self.frame.want(
            PrepareImage(
                container=self.plan.name,
                attempt=self._attempt,
                image=self.plan.image,
                policy=self.plan.pull_policy,
            )
        )

    def _prepare_after(self, event: Event) -> None:
        self._move(event)
        self._prepare()

    def _show_back_off(self, now: Moment) -> None:
        crashed = self.phase is Phase.START_FAILED
        self._move(Event.SHOWN_ENOUGH)
        self.pause.show_afterwards()
        if crashed:
            self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))
        else:
            self.frame.tell(*occurrences.image_backs_off(self.plan, now))

    def _keep_end(self, end: Terminated) -> None:
        self.history.keep_end(end)
        self.pause.clear()
        self.pid = None
        self._memory_exceeded = False
        self._early_end = None

    def _is_over(self, exit_code: int) -> bool:
        again = verdicts.runs_again(self.frame.plan.restart_policy, exit_code)
        return self.frame.ending is not None or not again

    def _after_end(self, news: RunEnded, now: Moment) -> None:
        replaced, self._redefined = self._redefined, False
        over = self._is_over(news.exit_code)
        if self.frame.ending is None and (replaced or (news.lost and not over)):
            self.history.crash = None
            self._prepare_after(Event.ENDED_RESTARTS)
        elif over:
            self._move(Event.ENDED_FOR_GOOD)
        else:
            self._restart_after_crash(news.at, now)

    def _restart_after_crash(self, ended_at: datetime, now: Moment) -> None:
        delay_s = self._next_crash(ended_at)
        if delay_s <= 0:
            self._prepare_after(Event.ENDED_RESTARTS)
            return
        self._move(Event.ENDED_BACKS_OFF)
        self.back_off(delay_s, max(0.0, delay_s - now.passed_since(ended_at)), now)
        self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))

    def _next_crash(self, ended_at: datetime) -> float:
        delay = after_crash(self.history.crash, ended_at, self.frame.rules.restarts)
        self.history.crash = delay.following
        return delay.seconds

    def _replace(self, now: Moment) -> None:
        self._redefined = True
        self.frame.tell(occurrences.redefined(self.plan, now))
        self._send_stop(now.mono + self.frame.plan.termination_grace_s)

    def _send_stop(self, kill_at: float) -> None:
        self._move(Event.STOP_SENT)
        self.pause.wake_at = kill_at
        if self.frame.plan.drain is Drain.STDIN_EOF:
            self.frame.want(CloseStdin(container=self.plan.name, run=self.history.run))
        else:
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        run = self.history.run
        self.frame.want(SignalRun(container=self.plan.name, run=run, signum=number))

    def _discard(self, cause: Cause, now: Moment) -> None:
        if self.phase is Phase.PREPARING:
            self.frame.want(AbandonImage(container=self.plan.name))
        self._move(Event.DISCARDED)
        if self.history.latest_end is None and cause is not Cause.HALTED:
            self.history.latest_end = verdicts.never_ran(now.wall)
        self.pause.clear()
