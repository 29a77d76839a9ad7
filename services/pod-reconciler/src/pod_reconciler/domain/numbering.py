"""Which report is newer, and whether both sides know the same: numbers and digests.

A lost report shows in the digest that every beat carries. One mismatch may be a report on its way;
two in a row are a loss.
"""

from collections.abc import Iterable
from typing import Final

from contract.digests import inventory_digest
from contract.ids import PodUid
from contract.messages.report import InventoryEntry, PodReported

MISMATCHES_UNTIL_REPAIR: Final = 2


class Ledger:
    """The last number of each pod of one incarnation, as it reported them."""

    def __init__(self) -> None:
        self._entries: dict[PodUid, InventoryEntry] = {}
        self._mismatches = 0

    def take(self, report: PodReported) -> bool:
        """Enter a report; False if a newer one is known. The same number again is fine."""
        known = self._entries.get(report.uid)
        number = (report.epoch, report.sequence)
        if known is not None and number < (known.epoch, known.sequence):
            return False
        self._entries[report.uid] = InventoryEntry(
            uid=report.uid,
            plan_digest=report.plan_digest,
            epoch=report.epoch,
            sequence=report.sequence,
        )
        return True

    def drop(self, uid: PodUid) -> None:
        """The pod is no longer expected to be reported."""
        self._entries.pop(uid, None)

    def keep_only(self, uids: Iterable[PodUid]) -> None:
        """The node's inventory is these; others it does not know any more."""
        kept = set(uids)
        self._entries = {uid: entry for uid, entry in self._entries.items() if uid in kept}

    def plans(self) -> dict[PodUid, str]:
        """The digest of the plan that each reported pod follows."""
        return {uid: entry.plan_digest for uid, entry in self._entries.items()}

    def knows(self, uid: PodUid) -> bool:
        """Whether this incarnation has reported the pod."""
        return uid in self._entries

    def agrees(self, digest: str) -> bool:
        """Whether a beat's digest is that of what was reported."""
        return inventory_digest(self._entries.values()) == digest

    def is_out_of_step(self, *, agrees: bool) -> bool:
        """Count a beat's comparison; True when everything must be reported again."""
        self._mismatches = 0 if agrees else self._mismatches + 1
        if self._mismatches < MISMATCHES_UNTIL_REPAIR:
            return False
        self._mismatches = 0
        return True
