"""Empty text in a manifest: what templates leave where nobody gave a value.

An API server takes `imagePullPolicy: ""` for none at all, and fills its default in. Whoever judges
or runs a manifest that no API server has seen takes it out first.
"""

from collections.abc import Mapping
from typing import Any

from podspec.fields import ITEM, TREE, Node
from podspec.rows import Row, Verdict


def without_empty(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod without empty text where only some words, or none, have a meaning here."""
    kept: dict[str, Any] = _kept(TREE, pod)
    return kept


def _kept(place: Node, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if (below := place.child(str(key))) is None else _kept(below, inner)
            for key, inner in value.items()
            if not _is_empty(place.child(str(key)), inner)
        }
    if isinstance(value, list) and (item := place.below.get(ITEM)) is not None:
        return [_kept(item, each) for each in value]
    return value


def _is_empty(place: Node | None, value: Any) -> bool:
    return value == "" and place is not None and place.row is not None and _is_choice(place.row)


def _is_choice(row: Row) -> bool:
    """Our own annotations are read as they are written."""
    return row.verdict is not Verdict.HONOURED or (bool(row.pattern) and not row.wanted)
