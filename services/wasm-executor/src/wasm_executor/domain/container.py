"""The life of one container: what each input does to it, and what it then wants done.

Nothing here waits. The pod's task calls `wake` when the moment of `next_wake` has come.
"""

from typing import Final

from contract.messages.pod import ContainerPlan, ContainerRole
from contract.messages.report import Terminated, Waiting
from wasm_executor.domain import occurrences, verdicts
from wasm_executor.domain.checks import HookKind
from wasm_executor.domain.core import Core
from wasm_executor.domain.effects import AbandonImage, ForgetRun, PrepareImage, StartRun
from wasm_executor.domain.frame import Frame
from wasm_executor.domain.health import Past
from wasm_executor.domain.inputs import (
    ImagePrepared,
    PreparationFailed,
    RunEnded,
    RunRefused,
    RunStarted,
)
from wasm_executor.domain.living import Living
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pause import RESTARTING_ALL, crash_waiting, first_waiting
from wasm_executor.domain.retries import Retries
from wasm_executor.domain.states import ALIVE, STAYING, UNPREPARED, Event, Phase
from wasm_executor.domain.stopping import Stopping
from wasm_executor.domain.verdicts import After

RUN_ERROR: Final = "RunContainerError"
CONFIG_ERROR: Final = "CreateContainerConfigError"
IMAGE_BACK_OFF: Final = "ImagePullBackOff"


class Container(Core):
    """One container of a pod, between its first turn and its last end."""

    def __init__(self, frame: Frame, plan: ContainerPlan) -> None:
        super().__init__(frame, plan)
        self.retries = Retries(frame.rules)
        self.stopping = Stopping(self)
        self.living = Living(self, self.stopping)
        self.pid: int | None = None
        self._attempt = 0
        self._early_end: RunEnded | None = None

    @property
    def succeeded(self) -> bool:
        """It has ended for good, and well."""
        end = self.history.latest_end
        return self.phase is Phase.ENDED and end is not None and end.exit_code == 0

    def next_wake(self) -> float | None:
        """Return when something is due."""
        times = (self.pause.wake_at, self.health.next_at())
        return min((each for each in times if each is not None), default=None)

    # Coming up

    def resume(self, pid: int | None, past: Past, now: Moment) -> None:
        """Be what a supervisor before this one left running; its history is taken up already."""
        self.phase = Phase.RUNNING
        self.pause.clear()
        self.pid = pid
        self.tried = True
        self.health.take_over(self.plan, past, now)

    def replace_other_image(self, now: Moment) -> None:
        """End what runs if its plan has another image by now."""
        if self.history.image not in ("", self.plan.image):
            self.stopping.replace(now)

    def begin(self) -> None:
        self.begun = True
        self._prepare_after(Event.BEGUN)

    def begin_anew(self) -> None:
        """Wait for the first turn once more."""
        if self.phase is Phase.ENDED:
            self.move(Event.RESET)
            self.begun = self.tried = False
            self.due = True
            self.pause.shown = RESTARTING_ALL

    def image_prepared(self, news: ImagePrepared, now: Moment) -> None:
        if self.phase is not Phase.PREPARING or news.attempt != self._attempt:
            return
        if self.plan.config_error:
            self._lack(news, now)
            return
        self.move(Event.IMAGE_READY)
        self.history.image_id, self.history.mounted = news.image_id, news.mounted
        self.retries.image_found()
        self.stopping.forget()  # whatever was told of a run that failed
        run = self.history.begin_run(self.plan.image)
        self.frame.want(StartRun(container=self.plan.name, attempt=self._attempt, run=run))

    def _lack(self, news: ImagePrepared, now: Moment) -> None:
        """The image is there, and something that the container needs is not."""
        lacking = PreparationFailed(
            container=news.container,
            attempt=news.attempt,
            reason=CONFIG_ERROR,
            message=self.plan.config_error,
        )
        self.frame.tell(occurrences.not_created(self.plan, now, lacking.message))
        self.preparation_failed(lacking, now)

    def preparation_failed(self, news: PreparationFailed, now: Moment) -> None:
        if news.attempt != self._attempt or self.phase not in (Phase.PREPARING, Phase.STARTING):
            return
        if self.phase is Phase.STARTING:
            if self._early_end is not None:  # there was a process after all, and its key is free
                self.frame.want(ForgetRun(container=self.plan.name, run=self._early_end.run))
                self._early_end = None
            self.history.run_never_was()
            self.frame.tell(occurrences.not_created(self.plan, now, news.message))
        self.tried = True
        self.move(Event.PREPARATION_FAILED)
        delay_s = self.retries.after_preparation(news.reason, now)
        shown = Waiting(reason=news.reason, message=news.message)
        if news.back_off_message is None:
            self.pause.hold(shown, delay_s, now)
            return
        afterwards = Waiting(reason=IMAGE_BACK_OFF, message=news.back_off_message)
        self.pause.hold_then(shown, afterwards, self.frame.rules.error_shown_s, delay_s, now)

    def started(self, news: RunStarted, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.history.run:
            return
        hook = self.plan.post_start
        # Of a run that has to go at once, no hook is begun.
        hooked = hook is not None and not (self.stopping.replaced or self.frame.starts_nothing)
        self.move(Event.STARTED_WITH_HOOK if hooked else Event.STARTED)
        self.tried = hook is None
        self.due = False
        self.pid = news.pid
        self.history.started_at = news.at
        self.health.begin(now)
        self.frame.tell(*occurrences.started(self.plan, now))
        if self._early_end is not None:
            self.ended(self._early_end, now)
        elif hooked:
            self.want_hook(HookKind.POST_START)
        else:
            self.appear(now)
            if self.stopping.replaced:
                self.stopping.replace(now)

    def refused(self, news: RunRefused, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.history.run:
            return
        self.tried = True
        self._keep_end(verdicts.not_started(news.message, now.wall, self.history.current_id))
        self.frame.tell(*occurrences.start_failed(self.plan, now, news.message))
        if self._after(verdicts.START_ERROR_CODE) is not After.RESTART:
            self.move(Event.NOT_STARTED_FOR_GOOD)
            return
        self.move(Event.NOT_STARTED)
        delay_s = self.retries.after_end(now.wall, now.mono)
        shown = Waiting(reason=RUN_ERROR, message=news.message)
        self._show_first(shown, delay_s, max(delay_s, self.frame.rules.error_shown_s), now)

    # Being there

    def redefine(self, plan: ContainerPlan, now: Moment) -> None:
        """Take a changed plan; another image replaces what runs and resets every back-off."""
        changed = plan.image != self.plan.image
        mended = plan.config_error != self.plan.config_error and self.phase in UNPREPARED
        self.plan = plan
        if not (changed or mended) or self.phase in (Phase.PENDING, Phase.ENDED):
            return
        self.retries.forget()
        if self.phase in STAYING and plan.role is not ContainerRole.INIT:
            self.stopping.replace(now)
        elif self.phase is Phase.STARTING:
            self.stopping.replaced = True
        elif self.phase is Phase.PREPARING:
            self.frame.want(AbandonImage(container=plan.name))
            self._prepare()
        elif self.phase not in ALIVE:
            self._prepare_after(Event.DELAY_PASSED)

    def wake(self, now: Moment) -> None:
        """Do what the time has come for."""
        self.living.ask(now)
        if self.pause.wake_at is None or now.mono < self.pause.wake_at:
            return
        if self.phase in ALIVE:
            self.stopping.wake(now)
        elif self.pause.is_due(now):
            self._prepare_after(Event.DELAY_PASSED)
        else:
            self._show_back_off(now)

    # Ending

    def ended(self, news: RunEnded, now: Moment) -> None:
        if news.run == self.history.run and self.phase is Phase.STARTING:
            self._early_end = news  # the answer to the spawn says what it was
            return
        again = news.run != self.history.run or self.phase not in ALIVE
        self.frame.want(ForgetRun(container=self.plan.name, run=news.run, again=again))
        if again:
            return
        memory = self.stopping.memory_exceeded
        self._keep_end(verdicts.ended(news, self.history.current_id, memory))
        self.tried = True
        self._after_end(news, now)

    def back_off(self, delay_s: float, remaining_s: float, now: Moment) -> None:
        """Show the crash back-off, and wait out what remains of it."""
        self.pause.hold(crash_waiting(self.frame.plan, self.plan.name, delay_s), remaining_s, now)

    # Steps

    def _show_first(self, shown: Waiting, delay_s: float, left_s: float, now: Moment) -> None:
        """Show why it runs once more, and then that it waits for that."""
        afterwards = crash_waiting(self.frame.plan, self.plan.name, delay_s)
        self.pause.hold_then(shown, afterwards, self.frame.rules.error_shown_s, left_s, now)

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
        self.move(event)
        self._prepare()

    def _show_back_off(self, now: Moment) -> None:
        crashed = self.phase is Phase.START_FAILED
        self.move(Event.SHOWN_ENOUGH)
        self.pause.show_afterwards()
        if crashed:
            self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))
        else:
            self.frame.tell(*occurrences.image_backs_off(self.plan, now))

    def _keep_end(self, end: Terminated) -> None:
        self.history.keep_end(end)
        self.due = False
        self.health.end()
        self.pause.clear()
        self.pid = None
        self._early_end = None

    def _after(self, exit_code: int) -> After:
        """Say what follows on an exit; a pod that ends starts nothing."""
        if self.frame.starts_nothing:
            return After.OVER
        following = verdicts.after(self.frame.plan, self.plan, exit_code)
        if following is After.RESTART_ALL:
            self.frame.restarting_all = True
        return following

    def _after_end(self, news: RunEnded, now: Moment) -> None:
        following = self.stopping.decided or self._after(news.exit_code)
        replaced, goes_on = self.stopping.replaced, self.stopping.goes_on(news)
        unhooked, condemned = self.stopping.unhooked, self.stopping.condemned
        self.stopping.forget()
        if following is not After.RESTART or self.frame.starts_nothing:
            self.due = goes_on
            self.move(Event.ENDED_FOR_GOOD)
        elif replaced or news.lost:
            self.retries.crash = None
            over = verdicts.after(self.frame.plan, self.plan, news.exit_code) is After.OVER
            self.due = replaced and over
            if self.due:
                # Shown as ended, it could not be shown as running again: the API server refuses.
                self.pause.shown = first_waiting(self.frame.plan)
            self._prepare_after(Event.ENDED_RESTARTS)
        else:
            ended_mono = now.mono - now.passed_since(news.at, news.at_mono)
            delay_s = self.retries.after_end(news.at, ended_mono, condemned=condemned)
            self._restart_after_crash(delay_s, unhooked, now)

    def _restart_after_crash(self, delay_s: float, shown: Waiting | None, now: Moment) -> None:
        if delay_s <= 0:
            self.pause.shown = shown
            self._prepare_after(Event.ENDED_RESTARTS)
            return
        left_s = self.retries.crash_remains_s(now)
        if shown is not None:
            self.move(Event.ENDED_UNHOOKED)
            self._show_first(shown, delay_s, left_s, now)
            return
        self.move(Event.ENDED_BACKS_OFF)
        self.back_off(delay_s, left_s, now)
        self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))
