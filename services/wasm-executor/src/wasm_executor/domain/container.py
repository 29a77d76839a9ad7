"""The life of one container: what each input does to it, and what it then wants done.

Nothing here waits. A delay is a moment on the monotonic clock in `wake_at`; the pod's task calls
`wake` when it has come. `due_at` is when the next attempt begins, which may lie behind it: first
the attempt's own reason is shown, then the back-off.
"""

import hashlib
import signal
from datetime import datetime
from typing import Final

from contract.messages.pod import ContainerPlan, Drain
from contract.messages.report import Terminated, Waiting
from wasm_executor.domain import occurrences, verdicts
from wasm_executor.domain.backoff import (
    BackOff,
    Delay,
    after_crash,
    after_image_failure,
    go_duration,
)
from wasm_executor.domain.checkpoint import ContainerRecord
from wasm_executor.domain.effects import (
    AbandonImage,
    CloseStdin,
    ForgetRun,
    PrepareImage,
    SignalRun,
    StartRun,
)
from wasm_executor.domain.frame import Cause, Frame
from wasm_executor.domain.inputs import (
    ImagePrepared,
    PreparationFailed,
    RunEnded,
    RunRefused,
    RunStarted,
)
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.states import ALIVE, Event, Phase, advance

CREATING: Final = Waiting(reason="ContainerCreating")
RUN_ERROR: Final = "RunContainerError"
CRASH_BACK_OFF: Final = "CrashLoopBackOff"
IMAGE_BACK_OFF: Final = "ImagePullBackOff"


def container_id(uid: str, name: str, run: int) -> str:
    """Return the id of one run: the same again after every restart of ours, of no other run."""
    digest = hashlib.sha256(f"{uid}/{name}/{run}".encode()).hexdigest()
    return f"wasmtime://{digest[:32]}"


class Container:
    """One container of a pod, between its first turn and its last end."""

    def __init__(self, frame: Frame, plan: ContainerPlan) -> None:
        self.frame = frame
        self.plan = plan
        self.phase = Phase.PENDING
        self.run = -1
        self.shown_run = -1
        """One behind `run` while that one starts."""
        self.attempt = 0
        self.tried = False
        """Its first attempt is over: the next container's turn has come."""
        self.image_id = ""
        self.pid: int | None = None
        self.started_at: datetime | None = None
        self.waiting: Waiting | None = CREATING
        self.latest_end: Terminated | None = None
        self.previous_end: Terminated | None = None
        self.crash: BackOff | None = None
        self.wake_at: float | None = None
        self.due_at = 0.0
        self._image_back_off: BackOff | None = None
        self._afterwards: Waiting | None = None
        self._memory_exceeded = False
        self._redefined = False
        self._early_end: RunEnded | None = None

    # What is shown and kept

    @property
    def id(self) -> str:
        """The id of the last run that came to be; empty before the first."""
        if self.shown_run < 0:
            return ""
        return container_id(self.frame.plan.uid, self.plan.name, self.shown_run)

    def record(self) -> ContainerRecord:
        """Return what must survive."""
        halted = self.frame.ending is not None and self.frame.ending.cause is Cause.HALTED
        return ContainerRecord(
            name=self.plan.name,
            run=self.run,
            underway=self.phase in ALIVE or self.phase is Phase.STARTING,
            ended=self.phase is Phase.ENDED and not halted,
            started_at=self.started_at,
            latest_end=self.latest_end,
            previous_end=self.previous_end,
            crash=self.crash,
            image_id=self.image_id,
        )

    # Coming up

    def resume(self, run: int, pid: int | None, started_at: datetime) -> None:
        """Be what a supervisor before this one left running."""
        self.phase = Phase.RUNNING
        self.run = self.shown_run = run
        self.pid = pid
        self.started_at = started_at
        self.waiting = None
        self.tried = True

    def begin(self) -> None:
        self._move(Event.BEGUN)
        self._prepare()

    def image_prepared(self, news: ImagePrepared) -> None:
        if self.phase is not Phase.PREPARING or news.attempt != self.attempt:
            return
        self._move(Event.IMAGE_READY)
        self.image_id = news.image_id
        self._image_back_off = None
        self.run += 1
        self.started_at = None
        self.frame.want(StartRun(container=self.plan.name, attempt=self.attempt, run=self.run))

    def preparation_failed(self, news: PreparationFailed, now: Moment) -> None:
        if news.attempt != self.attempt or self.phase not in (Phase.PREPARING, Phase.STARTING):
            return
        if self.phase is Phase.STARTING:
            self.run -= 1  # it never came to be
        self.tried = True
        self._move(Event.PREPARATION_FAILED)
        delay = after_image_failure(self._image_back_off, now.wall, self.frame.rules.images)
        self._image_back_off = delay.following
        self.waiting = Waiting(reason=news.reason, message=news.message)
        self._afterwards = None
        if news.back_off_message is not None:
            self._afterwards = Waiting(reason=IMAGE_BACK_OFF, message=news.back_off_message)
        self._wait(delay.seconds, now)
        if self.frame.ending is not None:
            self.stop(now)

    def started(self, news: RunStarted, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.run:
            return
        self._move(Event.STARTED)
        self.tried = True
        self.shown_run = self.run
        self.pid = news.pid
        self.started_at = news.at
        self.waiting = None
        self.frame.tell(occurrences.created(self.plan, now), occurrences.started(self.plan, now))
        if self._early_end is not None:
            self.ended(self._early_end, now)
        elif self.frame.ending is not None:
            self.stop(now)
        elif self._redefined:
            self._replace(now)

    def refused(self, news: RunRefused, now: Moment) -> None:
        if self.phase is not Phase.STARTING or news.run != self.run:
            return
        self.tried = True
        self.shown_run = self.run
        self._early_end = None
        self._keep_end(verdicts.not_started(news.message, now.wall, self._current_id()))
        self.frame.tell(
            occurrences.created(self.plan, now),
            occurrences.start_failed(self.plan, now, news.message),
        )
        self.frame.want(ForgetRun(container=self.plan.name, run=self.run))
        if self._is_over(verdicts.START_ERROR_CODE):
            self._move(Event.NOT_STARTED_FOR_GOOD)
            return
        self._move(Event.NOT_STARTED)
        delay = self._next_crash(now.wall)
        self.waiting = Waiting(reason=RUN_ERROR, message=news.message)
        shown_s = self.frame.rules.error_shown_s
        self._afterwards = self._crash_waiting(delay.seconds) if delay.seconds > shown_s else None
        self._wait(max(delay.seconds, shown_s), now)

    # Ending

    def ended(self, news: RunEnded, now: Moment) -> None:
        if news.run == self.run and self.phase is Phase.STARTING:
            self._early_end = news  # the answer to the spawn says what it was
            return
        self.frame.want(ForgetRun(container=self.plan.name, run=news.run))
        if news.run != self.run or self.phase not in ALIVE:
            return
        self._keep_end(self._terminated(news))
        self._after_end(news, now)

    def memory_exceeded(self, run: int) -> None:
        if run == self.run and self.phase in ALIVE and not self._memory_exceeded:
            self._memory_exceeded = True
            self._signal(signal.SIGKILL)

    def stop(self, now: Moment) -> None:
        """The pod ends: end too, at once where nothing runs."""
        ending = self.frame.ending
        assert ending is not None
        if self.phase is Phase.STOPPING:
            self.wake_at = min(self.wake_at or ending.kill_at, ending.kill_at)
        elif self.phase is Phase.RUNNING:
            self.frame.tell(occurrences.killing(self.plan, now))
            self._send_stop(ending.kill_at)
        elif self.phase not in (Phase.STARTING, Phase.ENDED):
            self._discard(now)

    def redefine(self, plan: ContainerPlan, now: Moment) -> None:
        """Take a changed plan; another image replaces what runs and resets every back-off."""
        changed = plan.image != self.plan.image
        self.plan = plan
        if not changed or self.phase in (Phase.PENDING, Phase.ENDED):
            return
        self.crash = self._image_back_off = None
        if self.phase is Phase.RUNNING:
            self._replace(now)
        elif self.phase is Phase.STARTING:
            self._redefined = True
        elif self.phase is Phase.PREPARING:
            self.frame.want(AbandonImage(container=plan.name))
            self._prepare()
        elif self.phase is not Phase.STOPPING:
            self._retry()

    def wake(self, now: Moment) -> None:
        """Do what the time has come for."""
        if self.wake_at is None or now.mono < self.wake_at:
            return
        if self.phase is Phase.STOPPING:
            self.wake_at = None
            self._signal(signal.SIGKILL)
        elif now.mono >= self.due_at:
            self._retry()
        elif self._afterwards is not None:
            self._show_back_off(now)

    # Steps

    def _move(self, event: Event) -> None:
        self.phase = advance(self.phase, event)
        self.wake_at = None

    def _prepare(self) -> None:
        self.attempt += 1
        self.frame.want(
            PrepareImage(
                container=self.plan.name,
                attempt=self.attempt,
                image=self.plan.image,
                policy=self.plan.pull_policy,
            )
        )

    def _retry(self) -> None:
        self._move(Event.DELAY_PASSED)
        self._prepare()

    def _wait(self, delay_s: float, now: Moment) -> None:
        self.due_at = now.mono + delay_s
        shown_s = min(self.frame.rules.error_shown_s, delay_s)
        self.wake_at = self.due_at if self._afterwards is None else now.mono + shown_s

    def _show_back_off(self, now: Moment) -> None:
        crashed = self.phase is Phase.START_FAILED
        self._move(Event.SHOWN_ENOUGH)
        self.waiting, self._afterwards = self._afterwards, None
        self.wake_at = self.due_at
        if crashed:
            self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))
        else:
            self.frame.tell(*occurrences.image_backs_off(self.plan, now))

    def _terminated(self, news: RunEnded) -> Terminated:
        return Terminated(
            exit_code=news.exit_code,
            reason=verdicts.START_ERROR
            if news.refused
            else verdicts.exit_reason(news.exit_code, memory_exceeded=self._memory_exceeded),
            started_at=news.started_at,
            finished_at=news.at,
            container_id=self._current_id(),
            message=news.message,
            signal=news.signal,
        )

    def _current_id(self) -> str:
        return container_id(self.frame.plan.uid, self.plan.name, self.run)

    def _keep_end(self, end: Terminated) -> None:
        self.previous_end, self.latest_end = self.latest_end, end
        self.pid = None
        self.waiting = None
        self._memory_exceeded = False
        self._early_end = None

    def _is_over(self, exit_code: int) -> bool:
        again = verdicts.runs_again(self.frame.plan.restart_policy, exit_code)
        return self.frame.ending is not None or not again

    def _after_end(self, news: RunEnded, now: Moment) -> None:
        replaced, self._redefined = self._redefined, False
        if self.frame.ending is None and (
            replaced or (news.lost and not self._is_over(news.exit_code))
        ):
            self.crash = None
            self._restart()
        elif self._is_over(news.exit_code):
            self._move(Event.ENDED_FOR_GOOD)
        else:
            self._back_off(news.at, now)

    def _restart(self) -> None:
        self._move(Event.ENDED_RESTARTS)
        self._prepare()

    def _back_off(self, ended_at: datetime, now: Moment) -> None:
        delay = self._next_crash(ended_at)
        if delay.seconds <= 0:
            self._restart()
            return
        self._move(Event.ENDED_BACKS_OFF)
        self.hold_back(delay.seconds, max(0.0, delay.seconds - now.passed_since(ended_at)), now)
        self.frame.tell(occurrences.restart_backs_off(self.frame.plan, self.plan, now))

    def hold_back(self, delay_s: float, remaining_s: float, now: Moment) -> None:
        """Show the crash back-off and wait out what remains of it."""
        self.waiting = self._crash_waiting(delay_s)
        self._afterwards = None
        self._wait(remaining_s, now)

    def _next_crash(self, ended_at: datetime) -> Delay:
        delay = after_crash(self.crash, ended_at, self.frame.rules.restarts)
        self.crash = delay.following
        return delay

    def _crash_waiting(self, delay_s: float) -> Waiting:
        pod = self.frame.plan
        message = (
            f"back-off {go_duration(delay_s)} restarting failed container={self.plan.name} "
            f"pod={pod.name}_{pod.namespace}({pod.uid})"
        )
        return Waiting(reason=CRASH_BACK_OFF, message=message)

    def _replace(self, now: Moment) -> None:
        self._redefined = True
        self.frame.tell(occurrences.redefined(self.plan, now))
        self._send_stop(now.mono + self.frame.plan.termination_grace_s)

    def _send_stop(self, kill_at: float) -> None:
        self._move(Event.STOP_SENT)
        self.wake_at = kill_at
        if self.frame.plan.drain is Drain.STDIN_EOF:
            self.frame.want(CloseStdin(container=self.plan.name, run=self.run))
        else:
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        self.frame.want(SignalRun(container=self.plan.name, run=self.run, signum=number))

    def _discard(self, now: Moment) -> None:
        if self.phase is Phase.PREPARING:
            self.frame.want(AbandonImage(container=self.plan.name))
        self._move(Event.DISCARDED)
        ending = self.frame.ending
        if self.latest_end is None and ending is not None and ending.cause is not Cause.HALTED:
            self.latest_end = verdicts.never_ran(now.wall)
        self.waiting = None
