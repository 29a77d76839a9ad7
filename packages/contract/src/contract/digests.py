"""Digests by which two sides compare what they know without sending it."""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from contract.codec import encode
from contract.messages.pod import PodPlan
from contract.messages.report import InventoryEntry

_PLAN: Final = msgspec.json.Decoder(PodPlan)


def plan_digest(plan: PodPlan) -> str:
    """Return the SHA-256 of the plan's encoding, in hexadecimal.

    Of the encoding as its reader would repeat it: a grace of 30 and one of 30.0 are the same, and
    a struct made in code may hold either.
    """
    repeated = _PLAN.decode(encode(plan))
    return hashlib.sha256(encode(repeated)).hexdigest()


def inventory_digest(entries: Iterable[InventoryEntry]) -> str:
    """Return one digest over (UID, plan digest, last report number) of all pods, in any order."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda each: each.uid):
        line = f"{entry.uid} {entry.plan_digest} {entry.epoch} {entry.sequence}\n"
        total.update(line.encode())
    return total.hexdigest()
