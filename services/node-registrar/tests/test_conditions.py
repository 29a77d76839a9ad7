"""Conditions of a Node: the kubelet's words, and times that move only when they should."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node_registrar.domain.conditions import (
    ORDER,
    Pressures,
    differs,
    faces,
    happenings,
    rendered,
)
from node_registrar.domain.readiness import NO_ADDRESS

GOLDEN = Path(__file__).parent / "golden"
FIRST = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 9, 5, tzinfo=UTC)
FINE = faces(Pressures(), ())
ILL = faces(Pressures(memory=True, disk=True, pid=True), (NO_ADDRESS,))


def by_type(conditions: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(each["type"]): each for each in conditions}


@pytest.mark.parametrize(("name", "shown"), [("fine", FINE), ("ill", ILL)])
def test_conditions_are_the_kubelets_word_for_word(name: str, shown: dict[str, object]) -> None:
    golden = json.loads((GOLDEN / f"conditions-{name}.json").read_text())
    assert rendered(shown, {}, FIRST) == golden  # type: ignore[arg-type]  # parametrize knows no more


def test_ready_comes_last() -> None:
    assert ORDER == ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
    assert [each["type"] for each in rendered(FINE, {}, FIRST)] == list(ORDER)


def test_a_heartbeat_moves_no_transition() -> None:
    before = by_type(rendered(FINE, {}, FIRST))
    for condition in rendered(FINE, before, LATER):
        assert condition["lastHeartbeatTime"] == "2026-01-02T03:09:05Z"
        assert condition["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_a_transition_moves_only_its_own_condition() -> None:
    before = by_type(rendered(FINE, {}, FIRST))
    after = by_type(rendered(faces(Pressures(disk=True), ()), before, LATER))
    assert after["DiskPressure"]["lastTransitionTime"] == "2026-01-02T03:09:05Z"
    assert after["Ready"]["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_another_message_alone_is_a_change_but_no_transition() -> None:
    before = by_type(rendered(faces(Pressures(), ("one",)), {}, FIRST))
    shown = faces(Pressures(), ("one", "two"))
    assert differs(shown, before)
    ready = by_type(rendered(shown, before, LATER))["Ready"]
    assert ready["message"] == "one, two"
    assert ready["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_heartbeats_are_no_difference() -> None:
    assert not differs(FINE, by_type(rendered(FINE, {}, FIRST)))
    assert differs(FINE, {})


def test_what_the_node_controller_wrote_is_a_difference() -> None:
    before = by_type(rendered(FINE, {}, FIRST))
    before["Ready"] |= {"status": "Unknown", "reason": "NodeStatusUnknown"}
    assert differs(FINE, before)
    assert [each.reason for each in happenings(FINE, before, "n")] == ["NodeReady"]


def test_a_new_node_says_its_pressures_and_not_its_readiness() -> None:
    assert [each.reason for each in happenings(FINE, {}, "n")] == [
        "NodeHasSufficientMemory",
        "NodeHasNoDiskPressure",
        "NodeHasSufficientPID",
    ]


def test_each_change_of_status_is_an_event_in_the_kubelets_words() -> None:
    before = by_type(rendered(FINE, {}, FIRST))
    said = list(happenings(ILL, before, "n"))
    assert [each.reason for each in said] == [
        "NodeHasInsufficientMemory",
        "NodeHasDiskPressure",
        "NodeHasInsufficientPID",
        "NodeNotReady",
    ]
    assert said[-1].message == "Node n status is now: NodeNotReady"
    assert not list(happenings(FINE, before, "n"))
