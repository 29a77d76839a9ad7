"""The way of reports and occurrences onto the bus, while there is one and the node is ours.

A report that does not arrive is not repeated here: its number is in the digest of every beat, and
the reconciler asks for what it has missed.
"""

import itertools
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.form import Event, Incarnation, Term
from contract.messages.pod import PodPlan
from contract.messages.report import InventoryEntry, Occurrence, PodHappened, PodReported
from servicekit.errors import BusUnavailableError
from wasm_executor.domain.publication import Content

log = structlog.get_logger()


class Publisher(Protocol):
    """What of the bus reporting needs."""

    async def publish(self, node: NodeName, event: Event) -> None: ...


class Reporter:
    """Says what it is given, once the node is granted; keeps silent before and after."""

    def __init__(self, node: NodeName, incarnation: Incarnation, epoch: int) -> None:
        self.node = node
        self.incarnation = incarnation
        self.epoch = epoch
        self._publisher: Publisher | None = None
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """Return a report's number. It grows over all pods, so that one which is forgotten and
        comes back is not taken for an older report of itself.
        """
        return next(self._numbers)

    def speak(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def keep_silent(self) -> None:
        self._publisher = None

    async def say(self, event: Event) -> None:
        if self._publisher is None:
            return
        try:
            await self._publisher.publish(self.node, event)
        except (BusUnavailableError, ContractError) as error:
            log.warning("report.lost", kind=type(event).__name__, reason=str(error))


class Voice:
    """One pod's reports, numbered."""

    def __init__(self, reporter: Reporter, started_at: datetime) -> None:
        self._reporter = reporter
        self._started_at = started_at
        self._last: PodReported | None = None

    def entry(self, plan: PodPlan, digest: str) -> InventoryEntry:
        """Return this pod's line in the inventory: what was last said of it."""
        last = self._last
        return InventoryEntry(
            uid=plan.uid,
            plan_digest=digest if last is None else last.plan_digest,
            epoch=self._reporter.epoch,
            sequence=0 if last is None else last.sequence,
        )

    @property
    def heard(self) -> bool:
        """Something has been said of this pod."""
        return self._last is not None

    def numbered(self, plan: PodPlan, content: Content, term: Term) -> PodReported:
        """Return the next report."""
        self._last = PodReported(
            uid=plan.uid,
            namespace=plan.namespace,
            name=plan.name,
            incarnation=self._reporter.incarnation,
            epoch=self._reporter.epoch,
            sequence=self._reporter.next_number(),
            plan_digest=content.plan_digest,
            generation=content.generation,
            term=term,
            started_at=self._started_at,
            containers=content.containers,
            stopped=content.stopped,
            reason="" if content.sentence is None else content.sentence.reason,
            message="" if content.sentence is None else content.sentence.message,
            restarting_all=content.restarting_all,
            awaits_volumes=content.awaits_volumes,
            deleted=content.deleted,
        )
        return self._last

    async def say(self, report: PodReported) -> None:
        await self._reporter.say(report)

    async def say_again(self, term: Term) -> None:
        """Repeat the last report under its own number, for whoever leads now."""
        if self._last is not None:
            await self._reporter.say(msgspec.structs.replace(self._last, term=term))

    async def tell(self, plan: PodPlan, occurrences: tuple[Occurrence, ...]) -> None:
        """Say what happened; it becomes Events and holds nothing up."""
        await self._reporter.say(
            PodHappened(
                uid=plan.uid,
                namespace=plan.namespace,
                name=plan.name,
                incarnation=self._reporter.incarnation,
                occurrences=occurrences,
            )
        )
