"""Work per pod, one piece at a time, without a task for pods that have nothing to do.

A lane asks its step what is due until nothing is. What happens to a pod while its step waits is
seen when the step is asked again: so the newest wins, and nothing is sent twice at once.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog

from contract.ids import PodUid
from kubekit.errors import NotLeadingError
from pod_reconciler.crews import Tasks
from pod_reconciler.errors import ActFailedError

log = structlog.get_logger()

_JITTER = 0.2
_CRASH_PAUSE_S = 5.0
_TOLD_EVERY = 10
_WORTH_A_WARNING = 4

type Step = Callable[[PodUid], Awaitable[float | None]]
"""Does what is due for a pod and returns how long to wait before it is asked again.

None: nothing is due, and the lane ends until it is poked. A poke cuts a wait short; not that after
a failure, but for a refusal of what has become another thing meanwhile.
"""
type About = Callable[[PodUid], object]
"""What a step would now be about: the same again is refused again."""


class Pace(msgspec.Struct, frozen=True):
    """How failures are waited out: doubling from the first to the longest."""

    first_s: float
    longest_s: float

    def delay_s(self, failures: int) -> float:
        """The wait after so many failures in a row, spread a little."""
        delay_s: float = min(self.longest_s, self.first_s * 2 ** min(failures - 1, 30))
        return delay_s * (1 + random.random() * _JITTER)  # noqa: S311 - no secret


class Lane:
    """One kind of work for the pods of one node."""

    def __init__(
        self,
        tasks: Tasks,
        name: str,
        step: Step,
        pace: Pace,
        about: About = lambda _: None,
    ) -> None:
        self._tasks = tasks
        self._name = name
        self._step = step
        self._pace = pace
        self._about = about
        self._running: set[PodUid] = set()
        self._waits: dict[PodUid, asyncio.Event] = {}

    def poke(self, uid: PodUid) -> None:
        """Something may be due for this pod. Once its term ends, the next leader sees to it."""
        if (wait := self._waits.get(uid)) is not None:
            wait.set()
        elif uid not in self._running:
            working = self._work(uid)
            try:
                self._tasks.create_task(working, name=f"{self._name}-{uid}")
            except RuntimeError:
                # All that it can mean here: the group, which the lane was made in, is ending. It
                # has no word for that, and a watch may tell of something meanwhile.
                working.close()
            else:
                self._running.add(uid)

    async def _work(self, uid: PodUid) -> None:
        failures = 0
        try:
            while True:
                about = self._about(uid)
                try:
                    pause_s = await self._step(uid)
                except ActFailedError as error:
                    failures += 1
                    await self._wait_out(uid, error, failures, about)
                    continue
                failures = 0
                if pause_s is None:
                    return
                await self._wait(uid, pause_s)
        except NotLeadingError:
            return  # the next leader does it, or this process when it leads again
        finally:
            self._running.discard(uid)

    async def _wait_out(
        self, uid: PodUid, error: ActFailedError, failures: int, about: object
    ) -> None:
        paced_s = self._pace.delay_s(failures)
        delay_s = error.retry_in_s or paced_s
        if failures % _TOLD_EVERY == 1 or failures == _WORTH_A_WARNING:
            # One failure is everyday: an executor that is granted subscribes a moment later.
            tell = log.warning if failures >= _WORTH_A_WARNING else log.info
            tell(
                "act.failed",
                lane=self._name,
                pod_uid=uid,
                reason=str(error),
                failures=failures,
                retry_in_s=round(delay_s, 2),
            )
        if not error.is_of_content:
            await asyncio.sleep(delay_s)
            return
        async with self._poked(uid, delay_s) as wait:
            await asyncio.sleep(paced_s)
            # Each beat and report of a node pokes what is due, and what was refused is.
            while self._about(uid) == about:
                await wait.wait()
                wait.clear()

    async def _wait(self, uid: PodUid, pause_s: float) -> None:
        if pause_s > 0:
            async with self._poked(uid, pause_s) as wait:
                await wait.wait()

    @asynccontextmanager
    async def _poked(self, uid: PodUid, at_most_s: float) -> AsyncIterator[asyncio.Event]:
        """Let pokes be told of while the body waits, until its time is over."""
        wait = self._waits[uid] = asyncio.Event()
        try:
            async with asyncio.timeout(at_most_s):
                yield wait
        except TimeoutError:
            pass
        finally:
            del self._waits[uid]


def guarded(step: Step) -> Step:
    """The pod boundary: an unforeseen failure of one pod's step is logged, and waited out."""

    async def guarded_step(uid: PodUid) -> float | None:
        try:
            return await step(uid)
        except (ActFailedError, NotLeadingError):
            raise
        except Exception as error:
            log.exception("pod.crashed", pod_uid=uid)
            # Its repr may quote what it was about, which may be a Secret's content.
            raise ActFailedError(f"unforeseen: {type(error).__name__}", _CRASH_PAUSE_S) from error

    return guarded_step
