"""What a node's view makes of watches, reports, inventories, beats and answers, in any order."""

from typing import Any

import msgspec
import pytest
from reconciler_peer import FACTS, LIFE, NODE, container, ended, running
from reconciler_samples import (
    GRANT,
    NOW,
    beat,
    deleted,
    inventory,
    live_view,
    pod_json,
    pod_of,
    report_of,
    see,
)

from contract.ids import PodUid
from contract.messages.form import Incarnation
from contract.messages.report import Waiting
from pod_reconciler.domain.cluster import PodVersion
from pod_reconciler.domain.duties import (
    CommandDue,
    Hold,
    WriteDue,
    command_due,
    is_worth_writing,
    write_due,
)
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView, ReportFate

NEXT_LIFE = Incarnation(executor_id="e1", start_count=2)
DELAY_S = 0.25


def write_of(view: NodeView, record: PodRecord, now_s: float = 100.0) -> object:
    return write_due(view, record, now_s, DELAY_S)


def state_of(record: PodRecord) -> PodState:
    """Asked each time: a type checker believes that a state stays as it was compared."""
    return record.state


def acked(view: NodeView, record: PodRecord) -> None:
    record.was_sent = True
    view.on_acked(record.uid, record.plan_digest)


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
    record = see(view, pod_json(activeDeadlineSeconds=5))
    assert record.state is PodState.REFUSED
    assert record.refusal is not None
    assert "spec.activeDeadlineSeconds" in record.refusal.message
    assert command_due(view, record) is None
    assert write_of(view, record) is WriteDue.STATUS


@pytest.mark.parametrize("status", [{"startTime": "2026-01-01T00:00:00Z"}, None])
def test_a_pod_that_was_started_is_never_admitted_again(status: dict[str, Any] | None) -> None:
    json = pod_json(activeDeadlineSeconds=5)
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
    refused = see(view, pod_json(activeDeadlineSeconds=5))
    see(view, deleted(pod_json(activeDeadlineSeconds=5)))
    assert refused.state is PodState.STOPPED

    unsure = live_view()
    record = see(unsure, pod_json(activeDeadlineSeconds=5))
    unsure.on_granted(msgspec.structs.replace(GRANT, holder=NEXT_LIFE))
    see(unsure, deleted(pod_json(activeDeadlineSeconds=5)))
    assert state_of(record) is PodState.DELETING
    assert write_of(unsure, record) is None
    unsure.on_inventory(inventory(life=NEXT_LIFE))
    assert state_of(record) is PodState.STOPPED


# Reports and their numbers.


def test_older_reports_are_dropped_and_equal_ones_are_fine() -> None:
    view = live_view()
    record = see(view, pod_json())
    newer = report_of("u-1", container(running()), number=(1, 5))
    assert view.on_report(newer, 0) is ReportFate.TAKEN
    older = report_of("u-1", container(ended(1)), number=(1, 4), stopped=True)
    assert view.on_report(older, 0) is ReportFate.STALE
    changes = record.changes
    assert view.on_report(newer, 0) is ReportFate.TAKEN
    assert record.report is newer
    assert record.changes == changes
    assert view.on_report(report_of("u-1", number=(2, 1)), 0) is ReportFate.TAKEN


def test_only_the_holder_of_the_node_is_heard() -> None:
    view = live_view()
    see(view, pod_json())
    report = report_of("u-1", container(ended(1)), life=NEXT_LIFE, stopped=True)
    assert view.on_report(report, 0) is ReportFate.FOREIGN
    view.on_inventory(inventory(report, life=NEXT_LIFE))
    assert view.inventory == {}
    assert not view.on_beat(beat(report, life=NEXT_LIFE))


def test_a_new_holder_is_asked_for_everything_and_sent_every_plan() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    view.on_report(report_of("u-1", container(running()), number=(9, 9)), 0)
    assert view.on_granted(msgspec.structs.replace(GRANT, holder=NEXT_LIFE))
    assert not view.is_live
    assert command_due(view, record) is None
    view.on_inventory(inventory(life=NEXT_LIFE))
    assert command_due(view, record) is CommandDue.APPLY
    restarted = report_of("u-1", container(running()), life=NEXT_LIFE)
    assert view.on_report(restarted, 0) is ReportFate.TAKEN


def test_a_plan_that_the_inventory_shows_is_not_sent_again() -> None:
    first = live_view()
    plan_digest = see(first, pod_json()).plan_digest
    report = report_of("u-1", container(running()), plan_digest=plan_digest)
    view = live_view(report)
    assert command_due(view, see(view, pod_json())) is None


def test_an_inventory_without_a_pod_has_it_planned_again() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    view.on_inventory(inventory())
    assert command_due(view, record) is CommandDue.APPLY


def test_two_beats_in_a_row_that_differ_ask_for_everything_one_does_not() -> None:
    view = live_view()
    see(view, pod_json())
    report = report_of("u-1", container(running()))
    lost = report_of("u-1", container(ended(0)), number=(1, 2))
    view.on_report(report, 0)
    assert not view.on_beat(beat(lost))
    assert not view.on_beat(beat(report))
    assert not view.on_beat(beat(lost))
    assert view.on_beat(beat(lost))
    assert not view.on_beat(beat(lost))


def test_an_acknowledged_plan_that_the_node_turns_out_not_to_have_is_sent_again() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    view.on_beat(beat())
    assert command_due(view, record) is CommandDue.APPLY


# Pods that the watch does not show.


def test_a_report_of_a_pod_that_is_not_placed_here_changes_nothing() -> None:
    view = live_view()
    report = report_of("u-9", container(ended(0)), stopped=True)
    assert view.on_report(report, 5.0) is ReportFate.UNPLACED
    assert not view.records
    assert view.strangers[PodUid("u-9")].ask_at_s == 5.0


def test_a_stranger_that_is_gone_is_forgotten_and_one_that_is_there_is_left_in_peace() -> None:
    view = live_view()
    view.on_report(report_of("u-9"), 0)
    elsewhere = pod_json("u-9")
    elsewhere["spec"]["nodeName"] = "other"
    view.on_answer(PodUid("u-9"), pod_of(elsewhere), 10.0)
    assert view.strangers[PodUid("u-9")].ask_at_s > 100
    view.on_answer(PodUid("u-9"), pod_of(pod_json("u-9")), 10.0)
    assert view.strangers[PodUid("u-9")].ask_at_s == 15.0
    view.on_answer(PodUid("u-9"), pod_of(pod_json("another")), 20.0)
    assert not view.strangers
    assert command_due(view, view.records[PodUid("u-9")]) is CommandDue.FORGET


def test_a_pod_that_was_reported_before_the_watch_showed_it_keeps_its_report() -> None:
    report = report_of("u-1", container(running()))
    view = NodeView(NODE, lambda: NOW)
    view.on_granted(GRANT)
    assert view.on_report(report, 0) is ReportFate.TAKEN
    record = see(view, pod_json())
    assert record.report is report
    assert not view.strangers


def test_a_liar_cannot_fill_the_memory() -> None:
    view = live_view()
    for number in range(1100):
        view.on_report(report_of(f"u-{number}"), 0)
    assert len(view.strangers) == 1000


# Forgetting.


def test_a_gone_pod_is_told_to_be_forgotten_until_a_beat_proves_it() -> None:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    report = report_of("u-1", container(running()))
    view.on_report(report, 0)
    view.on_object_gone(record.uid, by_watch=True)
    assert command_due(view, record) is CommandDue.FORGET
    view.on_forgotten(record.uid)
    assert command_due(view, record) is None
    assert view.on_report(report, 0) is ReportFate.STALE

    view.on_inventory(inventory(report))
    assert command_due(view, record) is CommandDue.FORGET
    view.on_forgotten(record.uid)
    view.on_beat(beat())
    assert not view.records


def test_a_late_event_of_a_pod_that_a_get_denied_does_not_bring_it_back() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_object_gone(record.uid, by_watch=False)
    assert see(view, pod_json(version=9)) is record
    assert record.state is PodState.GONE
    view.on_object_gone(record.uid, by_watch=True)
    assert not view.records


def test_a_pod_that_the_node_never_had_needs_no_forgetting() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_object_gone(record.uid, by_watch=True)
    assert not view.records


def test_a_pod_that_was_reported_counts_as_had_whatever_the_inventory_said_before() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_report(report_of("u-1", container(running())), 0)
    view.on_object_gone(record.uid, by_watch=True)
    assert command_due(view, record) is CommandDue.FORGET


def test_a_plan_on_its_way_counts_as_had() -> None:
    view = live_view()
    record = see(view, pod_json())
    record.was_sent = True
    view.on_object_gone(record.uid, by_watch=True)
    assert command_due(view, record) is CommandDue.FORGET


# Writes.


def test_creating_is_held_back_for_a_moment_and_a_failure_is_not() -> None:
    view = live_view()
    record = see(view, pod_json(), at_s=100.0)
    creating = container(Waiting(reason="ContainerCreating"))
    view.on_report(report_of("u-1", creating), 100.0)
    assert write_of(view, record, 100.1) == Hold(100.25)
    assert write_of(view, record, 100.25) is WriteDue.STATUS
    failing = container(Waiting(reason="ErrImagePull"))
    view.on_report(report_of("u-1", failing, number=(1, 2)), 100.1)
    assert write_of(view, record, 100.1) is WriteDue.STATUS


def test_a_write_is_due_until_everything_that_happened_is_said() -> None:
    view = live_view()
    record = see(view, pod_json())
    assert write_of(view, record) is None
    view.on_report(report_of("u-1", container(running())), 0)
    assert write_of(view, record) is WriteDue.STATUS
    record.settled = record.changes
    assert write_of(view, record) is None
    see(view, pod_json(version=7))
    assert write_of(view, record) is WriteDue.STATUS


def test_a_new_generation_alone_is_no_reason_to_write_while_a_pod_is_deleted() -> None:
    view = live_view()
    record = see(view, pod_json())
    numbers = {
        "observedGeneration": 2,
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}],
    }
    json = pod_json(version=2)
    json["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    see(view, json)
    assert is_worth_writing(record, lambda: numbers)
    see(view, deleted(json, version=3))
    assert not is_worth_writing(record, lambda: numbers)
    assert is_worth_writing(record, lambda: {"phase": "Failed"})
    worse = {"conditions": [{"type": "Ready", "status": "False"}]}
    assert is_worth_writing(record, lambda: worse)


def test_a_changed_address_of_the_node_is_written() -> None:
    view = live_view()
    record = see(view, pod_json())
    view.on_report(report_of("u-1", container(running())), 0)
    record.settled = record.changes
    view.on_granted(msgspec.structs.replace(GRANT, host_ip="192.0.2.8"))
    assert write_of(view, record) is WriteDue.STATUS
    assert GRANT.holder == LIFE
