"""Which Event is new, which counts up, which is one too many; with time passed in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from kubekit.correlation import Correlator, EventWrite, ObjectRef, Occurrence, TokenBucket

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
POD = ObjectRef(
    kind="Pod",
    name="p",
    uid="u",
    namespace="ns",
    resource_version="7",
    field_path="spec.containers{main}",
)


def occurrence(message: str = "m", *, after_s: float = 0, **changed: Any) -> Occurrence:
    fields: dict[str, Any] = {"ref": POD, "component": "kubelet", "host": "n1", "type": "Normal"}
    fields |= {"reason": "Pulled", "message": message, "at": AT + timedelta(seconds=after_s)}
    return Occurrence(**(fields | changed))


def write(correlator: Correlator, what: Occurrence, now: float = 0.0) -> EventWrite:
    written = correlator.correlate(what, now)
    assert written is not None
    return written


def test_a_new_event_is_whole() -> None:
    created = msgspec.json.decode(write(Correlator(), occurrence()).creation())
    assert created == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "p.1886caf2450d6708", "namespace": "ns"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "ns",
            "name": "p",
            "uid": "u",
            "apiVersion": "v1",
            "resourceVersion": "7",
            "fieldPath": "spec.containers{main}",
        },
        "type": "Normal",
        "reason": "Pulled",
        "message": "m",
        "source": {"component": "kubelet", "host": "n1"},
        "reportingComponent": "kubelet",
        "reportingInstance": "n1",
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
    }


def test_the_event_of_a_node_lies_in_the_default_namespace() -> None:
    node = ObjectRef(kind="Node", name="n1", uid="n1")
    created = msgspec.json.decode(write(Correlator(), occurrence(ref=node)).creation())
    assert created["metadata"]["namespace"] == "default"
    assert "namespace" not in created["involvedObject"]


def test_the_same_again_is_a_count_on_the_same_event() -> None:
    correlator = Correlator()
    first = write(correlator, occurrence())
    newer = msgspec.structs.replace(POD, resource_version="8")
    again = write(correlator, occurrence(after_s=60, ref=newer))

    assert first.is_new
    assert not again.is_new
    assert again.name == first.name
    assert msgspec.json.decode(again.recount()) == {
        "count": 2,
        "lastTimestamp": "2026-01-02T03:05:05Z",
        "message": "m",
    }


@pytest.mark.parametrize(
    "other",
    [
        {"message": "other"},
        {"reason": "Failed"},
        {"type": "Warning"},
        {"host": "n2"},
        {"ref": msgspec.structs.replace(POD, uid="u2")},
        {"ref": msgspec.structs.replace(POD, field_path="spec.containers{side}")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_anything_else_is_another_event(other: dict[str, Any]) -> None:
    correlator = Correlator()
    first = write(correlator, occurrence())
    second = write(correlator, occurrence(**other))
    assert second.is_new
    assert second.name != first.name


def test_an_event_whose_creation_failed_is_created_the_next_time() -> None:
    correlator = Correlator()
    correlator.forget(write(correlator, occurrence()))
    again = write(correlator, occurrence())
    assert again.is_new
    assert again.count == 1


def test_many_messages_become_one_combined_event() -> None:
    correlator = Correlator()
    single = [write(correlator, occurrence(f"try {number}")) for number in range(9)]
    combined = [write(correlator, occurrence(f"try {number}")) for number in range(9, 12)]
    again = write(correlator, occurrence("try 0"))

    assert all(event.is_new for event in single)
    assert [event.is_new for event in combined] == [True, False, False]
    assert combined[-1].count == 3
    assert combined[-1].occurrence.message == "(combined from similar events): try 11"
    assert (again.name, again.count) == (single[0].name, 2)


def test_messages_of_all_containers_of_a_pod_are_combined() -> None:
    correlator = Correlator()
    written = []
    for number in range(12):
        ref = msgspec.structs.replace(POD, field_path=f"spec.containers{{c{number}}}")
        written.append(write(correlator, occurrence(f"port {number}", ref=ref)))
    combined = [each.occurrence.message.startswith("(combined") for each in written]
    assert combined == [False] * 9 + [True] * 3
    assert len({each.name for each in written}) == 10


def test_after_ten_quiet_minutes_messages_are_told_apart_again() -> None:
    correlator = Correlator()
    for number in range(11):
        write(correlator, occurrence(f"try {number}"))
    assert write(correlator, occurrence("late"), now=601).occurrence.message == "late"


def test_an_object_that_never_stops_is_limited_to_one_in_five_minutes() -> None:
    correlator = Correlator()
    written = [correlator.correlate(occurrence(), 0.0) for _ in range(30)]
    assert sum(event is not None for event in written) == 25
    assert correlator.correlate(occurrence(), 299) is None
    later = correlator.correlate(occurrence(), 301)
    assert later is not None
    assert later.count == 32, "what was not written counts"
    assert correlator.correlate(occurrence(type="Warning"), 301) is not None

    other = msgspec.structs.replace(POD, uid="u2")
    assert correlator.correlate(occurrence(ref=other), 301) is not None


def test_what_is_remembered_is_bounded() -> None:
    correlator = Correlator()
    for number in range(5000):
        ref = msgspec.structs.replace(POD, uid=str(number))
        correlator.correlate(occurrence(ref=ref), 0.0)
    assert len(correlator._seen) == len(correlator._budgets) == 4096


def test_a_budget_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(50, 100, 0.0)
    waits = [bucket.reserve(0.0) for _ in range(102)]
    assert waits[:100] == [0.0] * 100
    assert waits[100:] == pytest.approx([0.02, 0.04])
    assert bucket.reserve(10.0) == 0
