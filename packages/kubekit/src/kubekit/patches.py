"""Bodies of the writes: only what differs, only what is ours, only to the object that was meant.

A status PATCH without UID precondition hits a re-created pod of the same name; one that sends lists
as they were read undoes what another controller wrote meanwhile. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

STRATEGIC_MERGE: Final = "application/strategic-merge-patch+json"
MERGE: Final = "application/merge-patch+json"

# Lists that the API server merges by a key, so that a value left out would stay. We own them whole.
_REPLACED_LISTS: Final = frozenset({"podIPs", "hostIPs", "addresses"})


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Which parts of a status are ours to clear: the rest belongs to other controllers."""

    fields: frozenset[str] = frozenset()
    conditions: frozenset[str] = frozenset()


def status_patch(
    uid: str,
    current: Mapping[str, Any],
    desired: Mapping[str, Any],
    owned: Ownership = Ownership(),  # noqa: B008 -- frozen
) -> bytes | None:
    """The strategic merge from `current` (as in the API) to `desired`; None if nothing differs.

    What `desired` leaves out stays, unless it is an owned field or condition: that is removed.
    Goes to the `status` subresource with content type `STRATEGIC_MERGE`.
    """
    status: dict[str, Any] = {
        field: _replacement(field, value)
        for field, value in desired.items()
        if field != "conditions" and value != current.get(field)
    }
    status |= dict.fromkeys(field for field in owned.fields - desired.keys() if field in current)
    status |= _conditions_patch(
        current.get("conditions") or (), desired.get("conditions") or (), owned.conditions
    )
    if not status:
        return None
    return msgspec.json.encode({"metadata": {"uid": uid}, "status": status})


def object_patch(
    uid: str,
    *,
    resource_version: str = "",
    metadata: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> bytes:
    """A merge of metadata and spec that hits only this UID (and only this version, if given)."""
    guard = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
    body: dict[str, Any] = {"metadata": {**(metadata or {}), **guard}}
    if spec:
        body["spec"] = spec
    return msgspec.json.encode(body)


def delete_options(uid: str, *, grace_period_s: int | None = None) -> bytes:
    """DeleteOptions for this UID alone; grace 0 removes the object at once."""
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid},
    }
    if grace_period_s is not None:
        options["gracePeriodSeconds"] = grace_period_s
    return msgspec.json.encode(options)


def _replacement(field: str, value: Any) -> Any:
    if field in _REPLACED_LISTS and isinstance(value, Sequence):
        return [{"$patch": "replace"}, *value]
    return value


def _conditions_patch(
    current: Sequence[Mapping[str, Any]],
    desired: Sequence[Mapping[str, Any]],
    owned: Collection[str],
) -> dict[str, Any]:
    """Changed conditions, removed ones, and the order, which the server keeps if it is told."""
    before = {condition["type"]: condition for condition in current}
    after = {condition["type"]: condition for condition in desired}
    changed: list[Mapping[str, Any]] = [
        _with_cleared(before.get(kind, {}), condition)
        for kind, condition in after.items()
        if condition != before.get(kind)
    ]
    gone = [kind for kind in before if kind in owned and kind not in after]
    if not changed and not gone:
        return {}
    others = [kind for kind in before if kind not in after and kind not in owned]
    return {
        "conditions": [*changed, *({"$patch": "delete", "type": kind} for kind in gone)],
        "$setElementOrder/conditions": [{"type": kind} for kind in (*after, *others)],
    }


def _with_cleared(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Conditions are merged field by field, so a reason that no longer holds must be nulled."""
    return {**after, **dict.fromkeys(field for field in before if field not in after)}
