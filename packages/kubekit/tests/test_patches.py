"""Patch bodies: what they hold, and above all what they leave out."""

from typing import Any

import msgspec
import pytest

from kubekit.patches import Ownership, delete_options, object_patch, status_patch

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "t1"}
GATE = {"type": "example.com/gate", "status": "True"}
OWNED = Ownership(
    fields=frozenset({"phase", "message", "reason"}), conditions=frozenset({"Ready", "Initialized"})
)

type Status = dict[str, Any]


def patched(current: Status, desired: Status, owned: Ownership = OWNED) -> Status | None:
    body = status_patch("u1", current, desired, owned)
    if body is None:
        return None
    decoded = msgspec.json.decode(body)
    assert decoded["metadata"] == {"uid": "u1"}
    status: Status = decoded["status"]
    return status


@pytest.mark.parametrize(
    "status",
    [{}, {"phase": "Running", "conditions": [READY]}, {"podIPs": [{"ip": "10.0.0.1"}]}],
)
def test_nothing_is_sent_when_nothing_differs(status: Status) -> None:
    assert patched(status | {"qosClass": "BestEffort"}, status) is None


def test_only_what_differs_is_sent() -> None:
    current = {"phase": "Pending", "hostIP": "10.0.0.1", "startTime": "t"}
    desired = {"phase": "Running", "hostIP": "10.0.0.1", "startTime": "t"}
    assert patched(current, desired) == {"phase": "Running"}


def test_an_owned_field_that_no_longer_holds_is_removed_and_others_are_left() -> None:
    current = {"phase": "Running", "message": "old", "qosClass": "BestEffort"}
    assert patched(current, {"phase": "Running"}) == {"message": None}


def test_container_statuses_are_sent_whole() -> None:
    old, new = [{"name": "a", "ready": False}], [{"name": "a", "ready": True}]
    assert patched({"containerStatuses": old}, {"containerStatuses": new}) == {
        "containerStatuses": new
    }


@pytest.mark.parametrize("field", ["podIPs", "hostIPs", "addresses"])
def test_lists_that_the_server_would_merge_are_replaced(field: str) -> None:
    old, new = [{"ip": "10.0.0.1"}], [{"ip": "10.0.0.2"}]
    assert patched({field: old}, {field: new}) == {field: [{"$patch": "replace"}, *new]}


def test_a_changed_condition_is_sent_alone_and_anothers_is_kept_in_order() -> None:
    initialized = {"type": "Initialized", "status": "True"}
    false = READY | {"status": "False"}
    assert patched(
        {"conditions": [GATE, initialized, READY]}, {"conditions": [initialized, false]}
    ) == {
        "conditions": [false],
        "$setElementOrder/conditions": [
            {"type": "Initialized"},
            {"type": "Ready"},
            {"type": "example.com/gate"},
        ],
    }


def test_a_reason_that_no_longer_holds_is_cleared_within_its_condition() -> None:
    before = READY | {"status": "False", "reason": "ContainersNotReady", "message": "m"}
    status = patched({"conditions": [before]}, {"conditions": [READY]})
    assert status is not None
    assert status["conditions"] == [READY | {"reason": None, "message": None}]


def test_an_owned_condition_that_is_gone_is_deleted_and_anothers_is_not() -> None:
    status = patched({"conditions": [GATE, READY]}, {"conditions": []})
    assert status == {
        "conditions": [{"$patch": "delete", "type": "Ready"}],
        "$setElementOrder/conditions": [{"type": "example.com/gate"}],
    }


def test_without_ownership_nothing_is_ever_removed() -> None:
    current = {"phase": "Running", "message": "m", "conditions": [READY]}
    assert patched(current, {"phase": "Running"}, Ownership()) is None


def test_an_object_patch_names_uid_and_version() -> None:
    body = object_patch(
        "u1", resource_version="7", metadata={"labels": {"a": "b"}}, spec={"taints": None}
    )
    assert msgspec.json.decode(body) == {
        "metadata": {"labels": {"a": "b"}, "uid": "u1", "resourceVersion": "7"},
        "spec": {"taints": None},
    }
    assert msgspec.json.decode(object_patch("u1")) == {"metadata": {"uid": "u1"}}


@pytest.mark.parametrize(("grace_s", "grace"), [(None, {}), (0, {"gracePeriodSeconds": 0})])
def test_a_deletion_names_the_uid(grace_s: int | None, grace: Status) -> None:
    assert (
        msgspec.json.decode(delete_options("u1", grace_period_s=grace_s))
        == {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u1"}} | grace
    )
