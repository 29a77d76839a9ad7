"""What the parts of a node's desk share: settings, the edges, and who may write."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from contract.messages.form import Term
from kubekit.leadership import Leadership
from pod_reconciler.bus import Executors, wire_term
from pod_reconciler.domain.cluster import Cluster
from pod_reconciler.domain.surroundings import ClusterNames
from pod_reconciler.settings import Settings
from pod_reconciler.supplies import Supplies
from servicekit.tracing import NO_TRACER, Tracer


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Made once per term of leadership."""

    settings: Settings
    cluster: Cluster
    executors: Executors
    leadership: Leadership
    supplies: Supplies | None = None
    """What the API holds for pods; None where there is no API server."""
    write_slots: asyncio.Semaphore
    tracer: Tracer = NO_TRACER
    clock: Callable[[], float] = time.monotonic

    @property
    def names(self) -> ClusterNames:
        """What resolves the names of the cluster."""
        settings = self.settings
        return ClusterNames(servers=settings.cluster_dns, domain=settings.cluster_domain)

    def term(self) -> Term:
        """The term to act under; raises `NotLeadingError`. Ask before each command and write."""
        return wire_term(self.leadership.assert_leading())

    def write_timeout_s(self) -> float:
        """How long a write sent now may take: never longer than the leadership lasts."""
        return self.leadership.request_timeout_s(self.settings.write_timeout_s)


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)
