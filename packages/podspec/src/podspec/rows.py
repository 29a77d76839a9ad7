"""One row of the field table: a path in a Pod, and what becomes of a value there.

Every field that Kubernetes knows gets a row, so that a pod is never run half: what is not honoured
is either ignored for a reason that can be told, or refused by name.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Verdict(StrEnum):
    """What becomes of a value in a field."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A field. In `path`, `[]` stands for each item of a list and `*` for each key of a map,
    `prefix/*` for each of a prefix.

    A row decides over everything below its path. `note` is the reason of an ignored or refused
    field and completes "path: ..."; for an honoured one it says by whom, where that is not us.
    """

    path: str
    verdict: Verdict
    note: str = ""
    defaults: tuple[Any, ...] = ()
    """Values that the API server or a controller puts in, or that say what happens anyway."""
    pattern: str = ""
    """What an honoured string has to match, where not every value is honoured."""
    wanted: str = ""
    """What that pattern says, in words for who has written something else."""
    needs: str = ""
    """What an honoured field asks of the node, where not every node gives it."""


def honoured(path: str, note: str = "", *, pattern: str = "", needs: str = "") -> Row:
    """The field does what Kubernetes says it does."""
    return Row(path=path, verdict=Verdict.HONOURED, note=note, pattern=pattern, needs=needs)


def annotation(name: str, pattern: str, wanted: str) -> Row:
    """One of our own, which says nothing unless it is written as it is meant."""
    path = f"metadata.annotations['wasmlet.dev/{name}']"
    return Row(path=path, verdict=Verdict.HONOURED, pattern=pattern, wanted=wanted)


def ignored(path: str, note: str, *, defaults: tuple[Any, ...] = ()) -> Row:
    """The field has no effect here, and no harm comes of it; users are told once."""
    return Row(path=path, verdict=Verdict.IGNORED, note=note, defaults=defaults)


def refused(path: str, note: str, *, defaults: tuple[Any, ...] = ()) -> Row:
    """A pod that uses the field is rejected; a default value is no use."""
    return Row(
        path=path,
        verdict=Verdict.REFUSED,
        note=note,
        defaults=defaults,
    )
