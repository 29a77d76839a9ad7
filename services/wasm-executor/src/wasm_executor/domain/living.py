"""What is asked of a container that runs, and what its answers and hooks bring about."""

from wasm_executor.domain import occurrences
from wasm_executor.domain.checks import HookKind
from wasm_executor.domain.core import Core
from wasm_executor.domain.effects import RunProbe
from wasm_executor.domain.inputs import HookFinished, ProbeFinished
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.states import ALIVE, STAYING, Event, Phase
from wasm_executor.domain.stopping import Stopping


class Living:
    """One container's."""

    def __init__(self, core: Core, stopping: Stopping) -> None:
        self._of = core
        self._stopping = stopping

    def ask(self, now: Moment) -> None:
        """Have the probes run that are due."""
        core = self._of
        for watch in core.health.due(now):
            core.frame.want(
                RunProbe(
                    container=core.plan.name,
                    run=core.history.run,
                    kind=watch.kind,
                    probe=watch.probe,
                )
            )

    def probed(self, news: ProbeFinished, now: Moment) -> None:
        core = self._of
        if news.run != core.history.run or core.phase not in ALIVE:
            return
        core.frame.tell(*occurrences.probed(core.plan, news, now))
        if core.health.answered(news.kind, news.verdict, now) and core.phase in STAYING:
            self._stopping.condemn(news.kind, now)

    def hook_finished(self, news: HookFinished, now: Moment) -> None:
        core = self._of
        if news.run != core.history.run or core.phase not in ALIVE:
            return
        if news.failure is not None:
            core.frame.tell(occurrences.hook_failed(core.plan, news.kind, now))
        if news.kind is HookKind.PRE_STOP:
            self._stopping.hook_over()
        elif core.phase is Phase.POST_START:
            if news.failure is None:
                core.tried = True
                core.move(Event.HOOK_DONE)
                core.appear(now)
            else:
                self._stopping.end_after_failed_hook(news.failure, now)
