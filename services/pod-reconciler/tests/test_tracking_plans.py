"""What a node's view makes of its watch: admission, plans, deletions, in any order."""

from typing import Any

import msgspec
import pytest
from reconciler_peer import FACTS, NODE, container, ended, running
from reconciler_samples import (
    GRANT,
    NEXT_LIFE,
    NOW,
    acked,
    deleted,
    inventory,
    live_view,
    pod_json,
    pod_of,
    report_of,
    see,
    state_of,
    write_of,
)

from contract.ids import PodUid
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.duties import (
    CommandDue,
    WriteDue,
    command_due,
)
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.material import Material
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView


def test_nothing_is_decided_before_holder_watch_and_inventory_are_known() -> None:
    view = NodeView(NODE, lambda: NOW)
    record = see(view, pod_json())
    for step in (lambda: view.on_granted(GRANT), view.on_synced):
        step()
        assert record.state is PodState.SEEN
        assert command_due(view, record) is None
    view.on_inventory(inventory())
    assert record.state is PodState.ADMITTED
    assert command_due(view, record) is CommandDue.APPLY
    assert list(view.news()) == [record]
    assert list(view.news()) == []


def test_a_plan_is_due_until_the_node_has_exactly_it() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_acked(record.uid, "another digest")
    assert command_due(view, record) is CommandDue.APPLY
    acked(view, record)
    assert command_due(view, record) is None
    see(view, deleted(pod_json()))
    assert command_due(view, record) is CommandDue.APPLY


def test_a_pod_that_uses_what_is_not_honoured_is_refused_and_never_planned() -> None:
    view = live_view()
    record = see(view, pod_json(hostPID=True))
    assert record.state is PodState.REFUSED
    assert record.refusal is not None
    assert "spec.hostPID" in record.refusal.message
    assert command_due(view, record) is None
    assert write_of(view, record) is WriteDue.STATUS


@pytest.mark.parametrize("status", [{"startTime": "2026-01-01T00:00:00Z"}, None])
def test_a_pod_that_was_started_is_never_admitted_again(status: dict[str, Any] | None) -> None:
    json = pod_json(hostPID=True)
    json["status"] |= status or {}
    known = () if status else (report_of("u-1", container(running())),)
    view = live_view(*known)
    assert see(view, json).state is PodState.ADMITTED


def test_a_runtime_that_the_node_has_reaches_the_plan_and_another_is_refused_by_name() -> None:
    view = live_view()
    view.on_granted(
        msgspec.structs.replace(GRANT, facts=msgspec.structs.replace(FACTS, runtimes=("wasi",)))
    )
    record = see(view, pod_json("u-1"), handler="wasi")
    assert record.plan is not None
    assert record.plan.runtime_handler == "wasi"
    refusal = see(view, pod_json("u-2"), handler="spin").refusal
    assert refusal is not None
    assert refusal.message == 'spec.runtimeClassName: no runtime for "spin" is configured'


def test_pods_that_do_not_fit_are_refused_with_the_kubelets_figures() -> None:
    view = live_view()
    facts = msgspec.structs.replace(FACTS, pods=1)
    view.on_granted(msgspec.structs.replace(GRANT, facts=facts))
    assert see(view, pod_json("u-1")).state is PodState.ADMITTED
    second = see(view, pod_json("u-2"))
    assert second.refusal is not None
    assert second.refusal.reason == "OutOfpods"
    view.on_object_gone(PodUid("u-1"), by_watch=True)
    assert see(view, pod_json("u-3")).state is PodState.ADMITTED


def test_a_pod_that_is_being_deleted_takes_its_room_until_it_has_stopped() -> None:
    view = live_view()
    facts = msgspec.structs.replace(FACTS, pods=1)
    view.on_granted(msgspec.structs.replace(GRANT, facts=facts))
    see(view, pod_json("u-1"))
    see(view, deleted(pod_json("u-1")))
    assert see(view, pod_json("u-2")).state is PodState.REFUSED
    view.on_report(report_of("u-1", container(ended(0)), stopped=True), 0)
    assert see(view, pod_json("u-3")).state is PodState.ADMITTED


def test_a_pod_that_nobody_can_read_is_refused_and_harms_no_other() -> None:
    view = live_view()
    json = pod_json("u-1")
    view.on_pod(PodVersion(pod_of(json), b"not json"), 0)
    broken = view.records[PodUid("u-1")]
    assert broken.refusal is not None
    assert broken.refusal.reason == "UnexpectedAdmissionError"
    assert see(view, pod_json("u-2")).state is PodState.ADMITTED


def test_an_ended_pod_takes_no_room_and_is_not_planned() -> None:
    view = live_view()
    view.on_granted(msgspec.structs.replace(GRANT, facts=msgspec.structs.replace(FACTS, pods=1)))
    json = pod_json("u-1")
    json["status"]["phase"] = "Succeeded"
    ended_pod = see(view, json)
    assert ended_pod.state is PodState.ENDED
    assert command_due(view, ended_pod) is None
    assert see(view, pod_json("u-2")).state is PodState.ADMITTED


def test_a_pod_ended_in_the_api_is_stopped_where_it_still_runs() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    view.on_report(report_of("u-1", container(running())), 0)
    json = pod_json(version=2)
    json["status"]["phase"] = "Failed"
    see(view, json)
    assert record.plan is not None
    assert record.plan.deletion is not None
    assert command_due(view, record) is CommandDue.APPLY
    assert write_of(view, record) is not WriteDue.REMOVE


def test_an_older_version_and_the_echo_of_an_own_write_change_nothing() -> None:
    view = live_view()
    record = see(view, pod_json(version=5))
    before = record.changes
    see(view, pod_json(version=4))
    see(view, pod_json(version=5))
    assert record.changes == before


# Deletion.


def test_a_deletion_is_finished_only_after_the_report_that_everything_is_dead() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    see(view, deleted(pod_json()))
    assert record.state is PodState.DELETING
    view.on_report(report_of("u-1", container(running())), 0)
    assert state_of(record) is PodState.DELETING
    view.on_report(report_of("u-1", container(ended(0)), number=(1, 2), stopped=True), 0)
    assert state_of(record) is PodState.STOPPED
    assert write_of(view, record) is WriteDue.STATUS
    record.settled = record.changes
    assert write_of(view, record) is WriteDue.REMOVE
    view.on_removed(record.uid)
    assert write_of(view, record) is None


def test_a_pod_that_had_ended_before_its_deletion_needs_no_further_report() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    view.on_report(report_of("u-1", container(ended(0)), stopped=True), 0)
    see(view, deleted(pod_json()))
    assert record.state is PodState.STOPPED


def test_a_deleted_pod_that_never_started_is_told_to_the_node_all_the_same() -> None:
    view = live_view()
    record = see(view, deleted(pod_json()))
    assert record.state is PodState.DELETING
    assert command_due(view, record) is CommandDue.APPLY


def test_a_refused_pod_is_removed_only_if_the_inventory_lacks_it() -> None:
    view = live_view()
    refused = see(view, pod_json(hostPID=True))
    see(view, deleted(pod_json(hostPID=True)))
    assert refused.state is PodState.STOPPED

    unsure = live_view()
    record = see(unsure, pod_json(hostPID=True))
    unsure.on_granted(msgspec.structs.replace(GRANT, holder=NEXT_LIFE))
    see(unsure, deleted(pod_json(hostPID=True)))
    assert state_of(record) is PodState.DELETING
    assert write_of(unsure, record) is None
    unsure.on_inventory(inventory(life=NEXT_LIFE))
    assert state_of(record) is PodState.STOPPED


# Reports and their numbers.


# What is kept.


def kept_of(record: PodRecord) -> tuple[object, ...]:
    own = record.own_contents
    return record.plan, record.material, record.plan_basis, record.blobs, own


def test_of_a_pod_that_has_ended_nothing_is_kept_that_a_secret_could_lie_in() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_material(record.uid, Material(services={"A": "secret"}))
    assert record.plan is not None
    acked(view, record)
    view.on_report(report_of("u-1", container(ended(0)), stopped=True), 0)
    see(view, pod_json(version=2) | {"status": {"phase": "Succeeded"}})
    assert record.state is PodState.ENDED
    assert kept_of(record) == (None, None, None, {}, ())
    view.on_material(record.uid, Material(services={"A": "late"}))
    assert record.material is None
    see(view, deleted(pod_json(), version=3))
    assert state_of(record) is PodState.STOPPED


def test_a_deleted_pod_keeps_nothing_once_it_is_stopped() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_material(record.uid, Material(services={"A": "secret"}))
    acked(view, record)
    see(view, deleted(pod_json()))
    assert record.plan is not None
    view.on_report(report_of("u-1", container(ended(0)), stopped=True), 0)
    assert state_of(record) is PodState.STOPPED
    assert kept_of(record) == (None, None, None, {}, ())
