"""Events, sent in the background: they never hold up a status, and never flood the API server.

`emit` only puts into a bounded queue. One task correlates (see `correlation`) and sends in order
within a budget; what does not fit is dropped and counted, as any kubelet does. An Event costs the
API server as much as a status, so while statuses are on their way only a trickle is sent.
"""

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from kubekit.backoff import Backoff
from kubekit.client import Api
from kubekit.correlation import Correlator, EventWrite, ObjectRef, Occurrence, TokenBucket
from kubekit.errors import AlreadyExistsError, ApiError, NotFoundError
from kubekit.patches import STRATEGIC_MERGE

__all__ = ["EventRecorder", "EventSender", "EventTally", "ObjectRef"]

QUEUE_SIZE: Final = 4000
"""Three Events for each pod of a full node, which come faster than they may be sent."""
QPS: Final = 50.0
BURST: Final = 100
STAND_BACK_S: Final = 0.05
TRICKLE_S: Final = 0.5
"""How long one Event waits for a quiet moment at most."""
RUSH_S: Final = 10.0
"""For how long they wait: what goes on for longer is no rush, and its Events are wanted, too."""
# With the back-off's delays this is some four minutes of an absent API server.
MAX_TRIES: Final = 12

log = structlog.get_logger(__name__)


class EventTally(msgspec.Struct):
    """What became of the Events so far, for metrics."""

    sent: int = 0
    dropped_full: int = 0
    dropped_spam: int = 0
    failed: int = 0


class EventSender:
    """The one queue, budget and task for all recorders of a process. Needs create and patch."""

    def __init__(self, api: Api, *, qps: float = QPS, burst: int = BURST) -> None:
        self._api = api
        self._queue: asyncio.Queue[Occurrence] = asyncio.Queue(QUEUE_SIZE)
        self._correlator = Correlator()
        self._budget = TokenBucket(qps, burst, time.monotonic())
        self._stands_back_until = 0.0
        self._asked_at = 0.0
        self._asked_since = 0.0
        self.tally: Final = EventTally()

    def stand_back(self) -> None:
        """Users wait for something else of this process: let that go first for a moment."""
        now = time.monotonic()
        if now - self._asked_at > STAND_BACK_S:
            self._asked_since = now
        self._asked_at = now
        self._stands_back_until = min(now + STAND_BACK_S, self._asked_since + RUSH_S)

    def put(self, what: Occurrence) -> None:
        """Queue it, or drop and count it; never waits."""
        try:
            self._queue.put_nowait(what)
        except (asyncio.QueueFull, asyncio.QueueShutDown):
            self.tally.dropped_full += 1

    def finish(self) -> None:
        """Take nothing more; `run` returns when all that was taken is sent."""
        self._queue.shutdown()

    async def run(self) -> None:
        """Send until cancelled, when what is queued is lost, or finished."""
        while True:
            try:
                what = await self._queue.get()
            except asyncio.QueueShutDown:
                return
            await self._give_way()
            write = self._correlator.correlate(what, time.monotonic())
            if write is None:
                self.tally.dropped_spam += 1
                continue
            if await self._delivered(write):
                self.tally.sent += 1
            else:
                self.tally.failed += 1
                self._correlator.forget(write)

    async def _give_way(self) -> None:
        latest = time.monotonic() + TRICKLE_S
        # The moment may be prolonged while it is waited for.
        while (left_s := min(latest, self._stands_back_until) - time.monotonic()) > 0:  # noqa: ASYNC110 - a time, no state
            await asyncio.sleep(left_s)

    async def _delivered(self, write: EventWrite) -> bool:
        backoff = Backoff(random.random)
        for _ in range(MAX_TRIES):
            await asyncio.sleep(self._budget.reserve(time.monotonic()))
            try:
                await self._send(write)
            except ApiError as error:
                if not error.retryable:
                    log.warning("event.refused", reason=write.occurrence.reason, error=str(error))
                    return False
                await asyncio.sleep(
                    backoff.delay_s(time.monotonic(), retry_after_s=error.retry_after_s)
                )
            else:
                return True
        log.warning("event.given_up", reason=write.occurrence.reason, name=write.name)
        return False

    async def _send(self, write: EventWrite) -> None:
        collection = f"/api/v1/namespaces/{write.namespace}/events"
        if not write.is_new:
            try:
                await self._api.request(
                    "PATCH",
                    f"{collection}/{write.name}",
                    body=write.recount(),
                    content_type=STRATEGIC_MERGE,
                )
            except NotFoundError:
                pass  # it has expired (an hour, by default): it starts over under its name
            else:
                return
        with contextlib.suppress(AlreadyExistsError):  # an earlier try whose answer was lost
            await self._api.request("POST", collection, body=write.creation())


class EventRecorder:
    """Emits Events under one source; cheap, so a process has one for each Node it speaks for."""

    def __init__(self, sender: EventSender, *, host: str, component: str = "kubelet") -> None:
        self._sender = sender
        self._host = host
        self._component = component

    def emit(
        self, ref: ObjectRef, type_: str, reason: str, message: str, at: datetime | None = None
    ) -> None:
        """Say that something happened to `ref`; never blocks, never raises for a full queue."""
        self._sender.put(
            Occurrence(
                ref=ref,
                component=self._component,
                host=self._host,
                type=type_,
                reason=reason,
                message=message,
                at=at or datetime.now(UTC),
            )
        )
