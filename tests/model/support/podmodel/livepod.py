"""A pod as its executor runs it, without tasks: inputs in, effects to the keeper, reports out.

Beside it runs its twin, which hears the same from a machine whose wall clock nobody sets. Whatever
the two do differently, the wall clock has decided.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from contract.messages.report import ContainerReport, PodReported
from podmodel.clock import Clock
from podmodel.disk import StoredPlan
from podmodel.work import Work
from wasm_executor.domain.effects import Effect, Happened
from wasm_executor.domain.frame import Cause
from wasm_executor.domain.inputs import Input, Woken
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.publication import Content, Publication
from wasm_executor.domain.restoring import Restored

SLOW_START_S: Final = 0.25
SLOW_SPAWN_S: Final = 1.0


class LivePod:
    """One pod, with what has been said of it."""

    def __init__(
        self,
        clock: Clock,
        stored: StoredPlan,
        started_at: datetime,
        restored: Restored,
        twin: Restored,
        work: Work,
    ) -> None:
        self.stored = stored
        self.pod = restored.pod
        self.work = work
        self.said: PodReported | None = None
        self.over = False
        self.first = restored.news or (Woken(),)
        self.started_at = started_at
        self._clock = clock
        self._twin = twin.pod
        self._set_before_s = clock.set_by_s
        self._publication = Publication()
        self.report_at: float | None = None

    def next_time(self) -> float | None:
        times = (None if self.over else self.pod.next_wake(), self.report_at)
        return min((each for each in times if each is not None), default=None)

    def hear(self, news: Input) -> list[Effect]:
        """Hand over an input; return what is wanted."""
        now = self._clock.now
        effects = self.pod.handle(news, now)
        self._hold_to_twin(news, now, effects)
        return effects

    def due(self) -> Content | None:
        """What is to be said now, if anything is; else it is known when."""
        self.report_at = None
        if self.pod.quiet:
            return None
        content, now = self.content(), self._clock.now
        patience_s = SLOW_START_S if self.pod.preparing else SLOW_SPAWN_S
        settled = self.pod.settled
        due_at = self._publication.due_at(content, now, settled=settled, patience_s=patience_s)
        if due_at is not None and due_at <= now.mono:
            self._publication.said(content)
            return content
        self.report_at = due_at
        return None

    def content(self) -> Content:
        pod = self.pod
        return Content(
            containers=pod.reports(),
            stopped=pod.stopped,
            generation=pod.plan.generation,
            plan_digest=self.stored.digest,
            sentence=pod.sentence,
            restarting_all=pod.restarting_all,
            deleted=pod.cause is Cause.DELETED,
        )

    def _hold_to_twin(self, news: Input, now: Moment, effects: Sequence[Effect]) -> None:
        ahead = timedelta(seconds=self._clock.set_by_s - self._set_before_s)
        twins = self._twin.handle(_earlier(news, ahead), Moment(now.wall - ahead, now.mono))
        assert _kinds(twins) == _kinds(effects), "the wall clock decides what is done"
        assert self._twin.next_wake() == self.pod.next_wake(), "the wall clock decides when"
        assert _states(self._twin.reports()) == _states(self.pod.reports())


def _kinds(effects: Sequence[Effect]) -> list[str]:
    return [
        each.occurrence.message if isinstance(each, Happened) else repr(each) for each in effects
    ]


def _states(reports: Sequence[ContainerReport]) -> list[object]:
    return [(type(each.state), each.restart_count, each.ready) for each in reports]


def _earlier(news: Input, ahead: timedelta) -> Input:
    """The same news from a machine whose clock was not set."""
    changed: dict[str, Any] = {
        field: getattr(news, field) - ahead
        for field in ("at", "started_at")
        if isinstance(getattr(news, field, None), datetime)
    }
    return msgspec.structs.replace(news, **changed)
