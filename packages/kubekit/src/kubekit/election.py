"""Leader election over a Lease, for a leader that may be frozen at any instant.

The Python client's election trusts the wall clock and only notices in its own loop that it lost. A
process stopped by SIGSTOP, or a machine that slept, would go on writing when it wakes. Here every
write asks `assert_leading` first, which looks at the clock each time; the renew deadline counts
from *before* the last successful renewal was sent, on a clock that also runs while the machine
sleeps; and no request gets more time than the lease has left.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from kubekit.client import Api
from kubekit.errors import (
    ApiError,
    ConflictError,
    MalformedAnswerError,
    NotFoundError,
    NotLeadingError,
)
from kubekit.leases import Contest, Lease, Move, Term, Timing, released

# Candidates that start together should not ask together.
_CANDIDATE_JITTER: Final = 0.2
# A Lease that is given back is to be seen soon: until then nobody leads. Looking costs one GET.
_LOOKS_PER_PERIOD: Final = 4
_RELEASE_TIMEOUT_S: Final = 3.0

_LEASE: Final = msgspec.json.Decoder(Lease)

log = structlog.get_logger(__name__)


def clock_s() -> float:
    """Seconds on the clock that counts while the machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Elector:
    """Competes for one Lease. Needs the verbs get, create and patch on it.

    Give every process an identity of its own (a random part is added): one that comes back under
    its predecessor's name must not inherit its term.
    """

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: Timing = Timing(),  # noqa: B008 -- frozen
        clock: Callable[[], float] = clock_s,
    ) -> None:
        self.identity: Final = f"{identity}_{uuid.uuid4()}"
        self._api = api
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._timing = timing
        self._clock = clock
        self._contest = Contest(self.identity, timing)
        self._term: Term | None = None
        self._deadline = 0.0
        self._is_led = asyncio.Event()
        self._is_lost = asyncio.Event()
        self._is_lost.set()
        self.on_started: Callable[[Term], None] = _ignore_term
        self.on_stopped: Callable[[], None] = _ignore
        self.reachable = False
        self._was_answered = False

    @property
    def is_leading(self) -> bool:
        return self._term is not None and self._clock() < self._deadline

    def assert_leading(self) -> Term:
        if self._term is None or self._clock() >= self._deadline:
            raise NotLeadingError(f"{self.identity} does not hold the lease {self._name}")
        return self._term

    async def leading(self) -> Term:
        while not self.is_leading:
            # Set, yet past the deadline: the loop was frozen and has not cleared it yet.
            self._note_lapse()
            await self._is_led.wait()
        return self.assert_leading()

    async def lost(self) -> None:
        await self._is_lost.wait()

    def deadline_left_s(self) -> float:
        return max(0.0, self._deadline - self._clock()) if self._term is not None else 0.0

    def request_timeout_s(self, maximum: float) -> float:
        left = self.deadline_left_s()
        if left <= 0:
            raise NotLeadingError(f"no time is left of the lease {self._name}")
        return min(maximum, left)

    @contextlib.asynccontextmanager
    async def campaign(self) -> AsyncIterator["Elector"]:
        """Compete while the body runs; give the Lease back after it has ended.

        So the body's writers are gone before another may lead. Like any TaskGroup, it wraps what
        the body raises in a group.
        """
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.run(), name=f"election-{self._name}")
            try:
                yield self
            finally:
                running.cancel()

    async def run(self) -> None:
        """Compete until cancelled, then give the Lease back. The server's errors do not end it."""
        try:
            while True:
                await self._step()
                await asyncio.sleep(self._pause_s())
        finally:
            await self._release()

    def _pause_s(self) -> float:
        period = self._timing.retry_period_s
        if self.is_leading:
            return min(period, self.deadline_left_s())
        if self._was_answered:
            period /= _LOOKS_PER_PERIOD
        return period * (1 + random.random() * _CANDIDATE_JITTER)  # noqa: S311 -- no secret

    async def _step(self) -> None:
        self._note_lapse()
        self._was_answered = False
        try:
            await self._try()
            self.reachable = self._was_answered = True
        except ConflictError:
            self._was_answered = True
            self._contest.observe(None, self._clock())  # somebody was faster; read it anew
            await self._reread()
        except NotFoundError:
            # Deleted under us. Whoever creates it next may lead at once, so we must not.
            self._was_answered = True
            self._lose("deleted")
        except ApiError as error:
            self.reachable = not error.retryable
            log.warning("lease.request_failed", lease=self._name, error=str(error))
        self._note_lapse()

    async def _try(self) -> None:
        if self._term is None:
            self._contest.observe(await self._get(), self._clock())
        move = self._contest.move(self._clock(), leading=self._term is not None)
        if move is Move.WAIT:
            return
        sent_at = self._clock()
        lease = await self._write(move)
        self._contest.observe(lease, self._clock())
        self._note_lapse()
        if self._term is None and move is Move.RENEW:
            return  # it lapsed while the answer was on its way: the next step starts a new term
        self._hold(lease.term(), sent_at)

    async def _reread(self) -> None:
        """After a conflict: if somebody else holds the Lease, this leadership is over at once."""
        with contextlib.suppress(ApiError):
            self._contest.observe(await self._get(), self._clock())
        lease = self._contest.lease
        if lease is None or lease.spec.holder_identity != self.identity:
            self._lose("taken")

    async def _get(self) -> Lease | None:
        try:
            response = await self._api.request(
                "GET", f"{self._collection}/{self._name}", timeout_s=self._patience_s()
            )
        except NotFoundError:
            return None
        return _decoded(response.body)

    async def _write(self, move: Move) -> Lease:
        spec = self._contest.spec(move, datetime.now(UTC))
        return await self._send(move, spec, self._patience_s())

    async def _send(self, move: Move, spec: dict[str, Any], timeout_s: float) -> Lease:
        lease = self._contest.lease
        if move is Move.CREATE or lease is None:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": spec,
            }
            response = await self._api.request(
                "POST", self._collection, body=msgspec.json.encode(body), timeout_s=timeout_s
            )
            return _decoded(response.body)
        # The version makes it a compare-and-swap; a patch leaves others' fields alone.
        meta = {"uid": lease.metadata.uid, "resourceVersion": lease.metadata.resource_version}
        response = await self._api.request(
            "PATCH",
            f"{self._collection}/{self._name}",
            body=msgspec.json.encode({"metadata": meta, "spec": spec}),
            content_type="application/merge-patch+json",
            timeout_s=timeout_s,
        )
        return _decoded(response.body)

    def _patience_s(self) -> float:
        """Short enough for a second try within the renew deadline, and never beyond it."""
        half = self._timing.renew_deadline_s / 2
        return max(0.01, min(half, self.deadline_left_s())) if self._term else half

    def _hold(self, term: Term, sent_at: float) -> None:
        self._deadline = sent_at + self._timing.renew_deadline_s
        if self._term is not None:
            return
        self._term = term
        if not self.is_leading:  # the answer came too late to be worth anything
            self._term = None
            return
        log.info("leadership.started", lease=self._name, transitions=term.transitions)
        self._is_lost.clear()
        self._is_led.set()
        self.on_started(term)

    def _note_lapse(self) -> None:
        if self._term is not None and self._clock() >= self._deadline:
            self._lose("deadline")

    def _lose(self, why: str) -> None:
        if self._term is None:
            return
        log.warning("leadership.ended", lease=self._name, why=why)
        self._term = None
        self._is_led.clear()
        self._is_lost.set()
        self.on_stopped()

    async def _release(self) -> None:
        was_leading = self.is_leading
        self._lose("stopped")
        if not was_leading:
            return
        try:
            await self._send(Move.RENEW, released(datetime.now(UTC)), _RELEASE_TIMEOUT_S)
        except ApiError as error:
            log.warning("lease.release_failed", lease=self._name, error=str(error))


def _decoded(body: bytes) -> Lease:
    try:
        return _LEASE.decode(body)
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(f"lease: {error}") from error


def _ignore_term(_: Term) -> None:
    """Nobody wants to know."""


def _ignore() -> None:
    """Nobody wants to know."""
