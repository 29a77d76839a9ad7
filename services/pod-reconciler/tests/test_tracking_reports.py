"""What a node's view makes of reports, inventories and beats, and when a status is written."""

import msgspec
from reconciler_peer import LIFE, container, ended, running
from reconciler_samples import (
    GRANT,
    NEXT_LIFE,
    acked,
    beat,
    deleted,
    inventory,
    live_view,
    pod_json,
    report_of,
    see,
    write_of,
)

from contract.messages.report import Waiting
from pod_reconciler.domain.duties import (
    CommandDue,
    Hold,
    WriteDue,
    command_due,
    is_worth_writing,
)
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.tracking import ReportFate


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


def test_waiting_for_init_containers_is_held_back_as_creating_is() -> None:
    view = live_view()
    record = see(view, pod_json(initContainers=[{"name": "i", "image": "i"}]), at_s=100.0)
    waits = Waiting(reason="PodInitializing")
    view.on_report(report_of("u-1", container(waits, "i"), container(waits)), 100.0)
    assert write_of(view, record, 100.1) == Hold(100.25)
    begun = report_of("u-1", container(running(), "i"), container(waits), number=(1, 2))
    view.on_report(begun, 100.1)
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
