"""Digests by which two sides compare what they know without sending it."""

import hashlib
from collections.abc import Iterable

from contract.codec import encode
from contract.messages.pod import PodPlan
from contract.messages.report import InventoryEntry


def plan_digest(plan: PodPlan) -> str:
    """Return the SHA-256 of the plan's encoding, in hexadecimal."""
    return hashlib.sha256(encode(plan)).hexdigest()


def inventory_digest(entries: Iterable[InventoryEntry]) -> str:
    """Return one digest over (UID, plan digest, last report number) of all pods, in any order."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda each: each.uid):
        line = f"{entry.uid} {entry.plan_digest} {entry.epoch} {entry.sequence}\n"
        total.update(line.encode())
    return total.hexdigest()
