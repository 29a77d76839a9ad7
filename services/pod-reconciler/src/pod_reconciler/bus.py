"""The bus edge: what executors are told, and what they and the registrar say."""

import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from contract.errors import CommandError, PayloadTooLargeError
from contract.ids import NO_NODE, NodeName
from contract.messages.form import Term
from contract.messages.node import GrantsList, NodeGranted
from contract.messages.pod import OLDER_PLAN, PodApply, PodForget
from contract.messages.report import Inventory, ReportAll
from kubekit.leases import Term as LeaseTerm
from pod_reconciler.errors import ActFailedError
from pod_reconciler.metrics import COMMANDS
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError

log = structlog.get_logger()

FINAL_RETRY_S: Final = 30.0
_OUT_OF_DATE: Final = 409
_SERVER_SIDE: Final = 500
_FIRST_PUSH_MS: Final = 1000


def wire_term(term: LeaseTerm) -> Term:
    """The election's term as messages carry it."""
    return Term(created_at=term.created_at, uid=term.uid, transitions=term.transitions)


class Revisions:
    """Numbers that grow, across restarts of this process within one term too.

    They follow the clock, so nothing has to be stored. Where the clock was set back, refusals push
    them forward until they are accepted again.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = 0
        self._push_ms = _FIRST_PUSH_MS

    def next(self) -> int:
        """A number greater than all before."""
        self._last = max(self._last + 1, int(self._clock() * 1000))
        return self._last

    def push(self) -> None:
        """An executor has seen higher ones: go ahead of the clock, further each time."""
        self._last += self._push_ms
        self._push_ms *= 2

    def accepted(self) -> None:
        """They are high enough again."""
        self._push_ms = _FIRST_PUSH_MS


class Executors:
    """Commands to executors. Raises `ActFailedError` for everything that may be tried again."""

    def __init__(self, bus: Bus, timeout_s: float) -> None:
        self._bus = bus
        self._timeout_s = timeout_s
        self.revisions: Final = Revisions()

    async def apply(self, node: NodeName, command: PodApply) -> str:
        """Send a plan; the digest that the executor has then.

        A plan too large for a message is left out; the executor reads it as a blob.
        """
        try:
            try:
                ack = await self._bus.request(node, command, timeout_s=self._timeout_s)
            except PayloadTooLargeError:
                ack = await self._bus.request(
                    node, _without_plan(command), timeout_s=self._timeout_s
                )
        except (BusUnavailableError, CommandError, PayloadTooLargeError) as error:
            raise self._failure("apply", error) from error
        COMMANDS.labels("apply", "acked").inc()
        self.revisions.accepted()
        return ack.plan_digest

    async def forget(self, node: NodeName, command: PodForget) -> None:
        """Have a pod stopped and forgotten."""
        try:
            await self._bus.request(node, command, timeout_s=self._timeout_s)
        except (BusUnavailableError, CommandError) as error:
            raise self._failure("forget", error) from error
        COMMANDS.labels("forget", "acked").inc()

    async def report_all(self, node: NodeName, command: ReportAll) -> Inventory:
        """Ask for everything that an executor has; it reports each pod again besides."""
        try:
            inventory = await self._bus.request(node, command, timeout_s=self._timeout_s)
        except (BusUnavailableError, CommandError) as error:
            raise self._failure("report-all", error) from error
        COMMANDS.labels("report-all", "acked").inc()
        return inventory

    async def grants(self) -> tuple[NodeGranted, ...]:
        """Ask the registrar who holds which node."""
        try:
            listed = await self._bus.request(NO_NODE, GrantsList(), timeout_s=self._timeout_s)
        except (BusUnavailableError, CommandError) as error:
            raise self._failure("grants-list", error) from error
        return listed.grants

    def _failure(self, kind: str, error: Exception) -> ActFailedError:
        if not isinstance(error, CommandError):
            COMMANDS.labels(kind, "unanswered").inc()
            return ActFailedError(str(error))
        COMMANDS.labels(kind, "refused").inc()
        if error.code == _OUT_OF_DATE:
            if error.message == OLDER_PLAN:
                self.revisions.push()
            return ActFailedError(f"{kind} refused: {error}")
        if error.code >= _SERVER_SIDE:  # a busy executor comes round by itself
            return ActFailedError(f"{kind} refused: {error}")
        # What is wrong with a message does not: ask rarely, unless it is another one.
        return ActFailedError(f"{kind} refused: {error}", FINAL_RETRY_S, is_of_content=True)


def _without_plan(command: PodApply) -> PodApply:
    return msgspec.structs.replace(command, plan=None, contents=())
