"""Walk a pod along the field table and say what is refused and what is ignored. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from podspec.automatic import without_automatic
from podspec.empty import without_empty
from podspec.fields import ITEM, TREE, Node
from podspec.rows import Row, Verdict


class Finding(msgspec.Struct, frozen=True):
    """A field that a pod uses, by its path (`spec.containers[0].env[2].value`), and the reason."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Review(msgspec.Struct, frozen=True):
    """Everything a pod uses that it will not get, or not on every node."""

    refused: tuple[Finding, ...] = ()
    ignored: tuple[Finding, ...] = ()
    needed: tuple[Finding, ...] = ()
    """Honoured where the node is set so; `reason` says how."""


class _Met(msgspec.Struct, frozen=True):
    path: str
    row: Row | None
    value: Any
    fault: str = ""


def review(pod: Mapping[str, Any]) -> Review:
    """Judge every field of a pod; what the API server puts in by itself is no use of a field."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping):
        return Review(refused=(Finding("spec", "it is required"),))
    written = without_automatic(spec)
    refused: list[Finding] = []
    if not written["containers"]:
        refused.append(Finding("spec.containers", "at least one is required"))
    ignored: list[Finding] = []
    needed: list[Finding] = []
    for met in _walk(TREE, without_empty({"metadata": pod.get("metadata"), "spec": written}), ""):
        if fault := met.fault or _fault(met):
            refused.extend(Finding(path, fault) for path in _written_paths(met))
        elif met.row is not None and _is_told(met):
            ignored.append(Finding(met.path, met.row.note))
        elif met.row is not None and met.row.needs:
            needed.append(Finding(met.path, met.row.needs))
    return Review(tuple(refused), tuple(ignored), tuple(needed))


def _walk(place: Node, value: Any, path: str) -> Iterator[_Met]:
    """The decided places of a value, in its own order. What says nothing is no use."""
    if _says_nothing(value):
        return
    if place.row is not None:
        yield _Met(path, place.row, value)
    elif ITEM in place.below:
        yield from _walk_items(place, value, path)
    elif isinstance(value, Mapping):
        yield from _walk_keys(place, value, path)
    else:
        yield _Met(path, None, value, "it is no mapping")


def _says_nothing(value: Any) -> bool:
    """Null, empty, or a list of which everything was automatic."""
    if isinstance(value, list):
        return all(item is None for item in value)
    return value is None or value == {}


def _walk_items(place: Node, value: Any, path: str) -> Iterator[_Met]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        yield _Met(path, None, value, "it is no list")
        return
    for position, item in enumerate(value):
        yield from _walk(place.below[ITEM], item, f"{path}[{position}]")


def _walk_keys(place: Node, value: Mapping[str, Any], path: str) -> Iterator[_Met]:
    for key, inner in value.items():
        below = place.child(key)
        inner_path = _joined(path, key)
        if below is None:
            yield _Met(inner_path, None, inner, "this field is not known")
        else:
            yield from _walk(below, inner, inner_path)


def _joined(path: str, key: str) -> str:
    if not key:
        return path
    if "." in key or "/" in key:
        return f"{path}['{key}']"
    return f"{path}.{key}" if path else key


def _written_paths(met: _Met) -> Iterator[str]:
    """What the user wrote: of a list each item; anything else is one thing."""
    if met.row is None or met.row.verdict is not Verdict.REFUSED or not isinstance(met.value, list):
        yield met.path
        return
    for position, item in enumerate(met.value):
        if item is not None:
            yield f"{met.path}[{position}]"


def _fault(met: _Met) -> str:
    """Why this use is refused, or nothing."""
    row = met.row
    if row is None:
        return ""
    if row.verdict is Verdict.REFUSED and not _is_default(row, met.value):
        return row.note
    if row.pattern and not (
        isinstance(met.value, str) and re.fullmatch(row.pattern, met.value) is not None
    ):
        return f"{met.value!r} is not {row.wanted or 'supported'}"
    return ""


def _is_told(met: _Met) -> bool:
    row = met.row
    return row is not None and row.verdict is Verdict.IGNORED and not _is_default(row, met.value)


def _is_default(row: Row, value: Any) -> bool:
    # 1 == True in Python; a wrong type is no default.
    return any(value == default and type(value) is type(default) for default in row.defaults)
