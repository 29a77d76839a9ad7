"""One pod as a task: it reads one queue, asks the domain what follows, and does it.

Everything that concerns the pod comes through the queue, so nothing happens to it twice at once.
What this program fails to do is logged and told as an Event, and the pod goes on with the next
thing, in the same turn even; a sibling never notices.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

import structlog
from structlog.contextvars import bound_contextvars

from contract.ids import ContainerName
from contract.messages.report import InventoryEntry, Occurrence
from wasm_executor.domain.container import Container
from wasm_executor.domain.effects import Effect, Happened, RunProbe
from wasm_executor.domain.frame import Cause
from wasm_executor.domain.inputs import Confirmed, Input, ProbeFinished, Woken
from wasm_executor.domain.pod import Pod
from wasm_executor.domain.probecounts import ProbeCounts
from wasm_executor.domain.publication import Content, Publication
from wasm_executor.domain.states import Phase
from wasm_executor.supervisor import kubeletseries, metrics
from wasm_executor.supervisor.execs.execing import Execs
from wasm_executor.supervisor.moments import now
from wasm_executor.supervisor.node import Node
from wasm_executor.supervisor.pods.hands import Hands
from wasm_executor.supervisor.pods.plans import StoredPlan
from wasm_executor.supervisor.podstart import PodStart
from wasm_executor.supervisor.reporting import Voice

log = structlog.get_logger()

QUEUE_ROOM: Final = 32
QUEUE_ROOM_PER_CONTAINER: Final = 8
NEWS: Final = frozenset(Phase) - {Phase.PENDING, Phase.PREPARING, Phase.STARTING}
"""Phases that are worth a line in the log."""


def telling(container: Container) -> Mapping[str, object]:
    """Return what the log says of a container."""
    end, waiting = container.history.latest_end, container.pause.shown
    fields: dict[str, object] = {
        "container": container.plan.name,
        "phase": container.phase,
        "run": container.history.run,
    }
    if container.pid is not None:
        fields["pid"] = container.pid
    elif end is not None:
        fields |= {"exit_code": end.exit_code, "reason": end.reason}
    if waiting is not None:
        fields |= {"waiting": waiting.reason, "message": waiting.message}
    return fields


class PodTask:
    """Runs until the pod is forgotten or the executor stops."""

    def __init__(
        self,
        node: Node,
        execs: Execs,
        stored: StoredPlan,
        pod: Pod,
        started_at: datetime,
        news: Sequence[Input],
    ) -> None:
        self.stored = stored
        self.started_at = started_at
        self.pod = pod
        self.ended = asyncio.Event()
        """Nothing of this pod runs, and its task is over."""
        self.burial = asyncio.Lock()
        """Held by whoever drops what is left of it."""
        self.probes = ProbeCounts()
        self._turns = kubeletseries.PodTurns(pod)
        self._start = PodStart(stored.plan, node.reporter.node)
        self._node = node
        self._voice = Voice(node.reporter, started_at)
        self._publication = Publication()
        room = QUEUE_ROOM + QUEUE_ROOM_PER_CONTAINER * len(pod.containers)
        self._queue: asyncio.Queue[Input] = asyncio.Queue(room)
        self._first = tuple(news)
        self._hands = Hands(node, execs, pod, self.put, self._tell_from_work)
        self._happened: list[Occurrence] = []
        self._timer: asyncio.TimerHandle | None = None
        self._report_at: float | None = None
        self._tell_at = 0.0

    # For others

    @property
    def busy(self) -> bool:
        """The pod does not keep up: commands must come again later. Its own news has room left."""
        return self._queue.qsize() >= QUEUE_ROOM

    def put(self, news: Input) -> None:
        """Queue an input, unless the pod is over."""
        if isinstance(news, ProbeFinished):
            self.probes.end(news, now().mono)
        with suppress(asyncio.QueueShutDown):
            self._queue.put_nowait(news)

    def confirm(self) -> None:
        """Say that the pod is still wanted, where it waits to hear it."""
        if self.pod.unsure:
            self.put(Confirmed())

    def entry(self) -> InventoryEntry:
        return self._voice.entry(self.pod.plan, self.stored.digest)

    @property
    def heard(self) -> bool:
        return self._voice.heard

    async def say_all(self) -> None:
        """Repeat the last report; where there is none, say what is true now."""
        if self._voice.heard:
            await self._voice.say_again(self.stored.rank.term)
        else:
            await self._report(self._content())

    def watch_memory(self, container: ContainerName, run: int, pid: int) -> None:
        """Hold a run that is taken over to its container's limit."""
        self._hands.watch_memory(container, run, pid)

    async def say_again(self) -> None:
        """Repeat the last report under its own number, if there is one."""
        await self._voice.say_again(self.stored.rank.term)

    # The task

    async def run(self) -> None:
        plan = self.pod.plan
        with bound_contextvars(pod_uid=plan.uid, namespace=plan.namespace, pod=plan.name):
            try:
                for news in self._first or (Woken(),):
                    await self._take(news)
                while not self._is_over():
                    await self._take(await self._queue.get())
            finally:
                self._leave()

    def _is_over(self) -> bool:
        return self.pod.quiet and self.pod.stopped

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._hands.drop_all()
        self._start.leave("Abandoned")
        self._queue.shutdown(immediate=True)
        self.ended.set()

    async def _take(self, news: Input) -> None:
        with self._boundary("turn"), self._turns.one(self.pod), self._start.here():
            await self._turn(news)
        self._arm()

    async def _turn(self, news: Input) -> None:
        present = now()
        before = [each.phase for each in self.pod.containers]
        effects: list[Effect] = []
        for each in self._and_all_queued(news):
            with self._boundary(type(each).__name__):
                effects += self.pod.handle(each, present)
        # An input may add containers, which have no phase before it.
        for phase, container in zip(before, self.pod.containers, strict=False):
            if container.phase is not phase and container.phase in NEWS:
                log.info("container.moved", **telling(container))
        with self._boundary("record"):
            self._node.checkpoint.keep(self.pod.record(self.started_at, self._node.life))
        for effect in effects:
            with self._boundary(type(effect).__name__):
                await self._do(effect)
        with self._boundary("report"):
            await self._say_what_is_new()

    def _and_all_queued(self, news: Input) -> Iterator[Input]:
        yield news
        while not self._queue.empty():
            yield self._queue.get_nowait()

    @contextmanager
    def _boundary(self, step: str) -> Iterator[None]:
        """A failure inside is this pod's state, and takes nothing else of the turn with it."""
        try:
            yield
        except Exception as error:
            metrics.POD_FAULTS.inc()
            log.exception("pod.step_failed", step=step)
            message = f"error determining status: {error!r}"
            self._tell(
                Occurrence(reason="FailedSync", message=message, at=now().wall, type="Warning")
            )

    async def _do(self, effect: Effect) -> None:
        if isinstance(effect, Happened):
            self._tell(effect.occurrence)
            return
        if isinstance(effect, RunProbe):
            self.probes.begin(effect.container, effect.kind, now().mono)
        await self._hands.do(effect)

    # Saying

    def _content(self) -> Content:
        return Content(
            containers=self.pod.reports(),
            stopped=self.pod.stopped,
            generation=self.pod.plan.generation,
            plan_digest=self.stored.digest,
            sentence=self.pod.sentence,
            restarting_all=self.pod.restarting_all,
            deleted=self.pod.cause is Cause.DELETED,
            awaits_volumes=self.pod.awaits_volumes,
        )

    async def _say_what_is_new(self) -> None:
        self._report_at = None
        if self.pod.quiet:
            self._happened.clear()  # kept, it would wake the pod again at once, all its grace
            return
        content, present = self._content(), now()
        settings = self._node.settings
        patience_s = settings.slow_start_s if self.pod.preparing else settings.slow_spawn_s
        due_at = self._publication.due_at(
            content, present, settled=self.pod.settled, patience_s=patience_s
        )
        if due_at is not None and due_at <= present.mono:
            await self._report(content)
        else:
            self._report_at = due_at
        if self._happened and (
            due_at is None or due_at <= present.mono or present.mono >= self._tell_at
        ):
            occurrences, self._happened = tuple(self._happened), []
            await self._voice.tell(self.pod.plan, occurrences)

    async def _report(self, content: Content) -> None:
        self._publication.said(content)
        term = self.stored.rank.term
        await self._voice.say(self._voice.numbered(self.pod.plan, content, term))
        self._start.reported(self.pod)

    def _tell(self, occurrence: Occurrence) -> None:
        """Keep an occurrence until the next report, or for as long as a report would wait."""
        if not self._happened:
            self._tell_at = now().mono + self._node.settings.slow_start_s
        self._happened.append(occurrence)

    def _tell_from_work(self, occurrence: Occurrence) -> None:
        self._tell(occurrence)
        self._arm()

    def _arm(self) -> None:
        """Set the one timer to whatever comes first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tell_at = self._tell_at if self._happened else None
        times = (self.pod.next_wake(), self._report_at, tell_at)
        first = min((each for each in times if each is not None), default=None)
        if first is not None:
            delay_s = max(0.001, first - now().mono)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if not self._queue.full():  # else it is awake
            self._queue.put_nowait(Woken())
