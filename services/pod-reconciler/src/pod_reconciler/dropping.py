"""Saying which reports of a node count for nothing: each pod's once, and what has no end seldom.

An executor can make up names and UIDs as fast as the bus carries them. Of those that are kept track
of there are only so many, and each is worth a line; all others share one, and the metric counts.
"""

from collections.abc import Callable
from typing import Final

import structlog

from contract.messages.report import PodReported
from pod_reconciler.domain.tracking import NodeView, ReportFate

log = structlog.get_logger()

QUIET_S: Final = 60.0
"""After a line about what nobody keeps track of."""
_MOST_TOLD: Final = 253
_REASONS: Final = {
    ReportFate.UNPLACED: "the watch does not place this pod on this node",
    ReportFate.MALFORMED: "no API server has a pod of such a name or UID",
}


class DroppedReports:
    """Those of one node."""

    def __init__(self, view: NodeView, clock: Callable[[], float]) -> None:
        self._view = view
        self._clock = clock
        self._quiet_until_s: float | None = None

    def tell(self, report: PodReported, fate: ReportFate) -> None:
        """Log what became of a report, where that is worth it."""
        if fate not in _REASONS or not (report.uid in self._view.strangers or self._has_turn()):
            return
        log.warning(
            "report.dropped",
            node=self._view.node,
            namespace=report.namespace[:_MOST_TOLD],
            pod=report.name[:_MOST_TOLD],
            pod_uid=report.uid[:_MOST_TOLD],
            reason=_REASONS[fate],
        )

    def _has_turn(self) -> bool:
        now_s = self._clock()
        if self._quiet_until_s is not None and now_s < self._quiet_until_s:
            return False
        self._quiet_until_s = now_s + QUIET_S
        return True
