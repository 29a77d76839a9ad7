"""What a node's view makes of pods that the watch does not show."""

import msgspec
import pytest
from reconciler_peer import LIFE, NODE, container, ended, running
from reconciler_samples import (
    GRANT,
    NOW,
    entry_of,
    inventory,
    live_view,
    pod_json,
    pod_of,
    report_of,
    see,
)

from contract.ids import PodUid
from contract.messages.report import Inventory, InventoryEntry
from pod_reconciler.domain.duties import CommandDue, command_due
from pod_reconciler.domain.tracking import NodeView, ReportFate


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


def test_what_a_reboot_left_of_a_pod_is_asked_for_and_forgotten_with_its_object() -> None:
    view = live_view()
    see(view, pod_json())
    names = (("u-9", "default", "ended"), ("u-1", "default", "web"), ("u-8", "", ""))
    left = tuple(
        InventoryEntry(
            uid=PodUid(uid), plan_digest="", epoch=0, sequence=0, namespace=namespace, name=name
        )
        for uid, namespace, name in names
    )
    view.on_inventory(Inventory(incarnation=LIFE, epoch=1, entries=left))
    (stranger,) = view.strangers.values()
    assert (stranger.name, stranger.ask_at_s) == ("ended", 0.0)
    view.on_answer(PodUid("u-9"), None, 10.0)
    view.on_inventory(Inventory(incarnation=LIFE, epoch=1, entries=left[:1]))
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
    for number in range(1500):
        uid = PodUid(f"u-{number}")
        view.on_report(report_of(uid), 0)
        if number % 2:
            view.on_answer(uid, None, 0)
    assert len(view.strangers) + len(view.records) == 1000
    see(view, pod_json("real"))
    assert command_due(view, view.records[PodUid("real")]) is CommandDue.APPLY
    view.on_inventory(inventory())  # whoever forgets has room again
    assert view.on_report(report_of("u-1501"), 0) is ReportFate.UNPLACED
    assert set(view.strangers) == {"u-1501"}


@pytest.mark.parametrize(
    ("uid", "namespace", "name"),
    [
        ("x.1", "default", "p"),
        ("u-9", "default", "b/log?follow=true"),
        ("u-9", "a/../../secrets", "p"),
        ("u-9", "default", ".."),
        ("u-9", "", "p"),
    ],
)
def test_what_no_api_server_can_have_is_never_asked_for(
    uid: str, namespace: str, name: str
) -> None:
    view = live_view()
    forged = msgspec.structs.replace(report_of(uid), namespace=namespace, name=name)
    assert view.on_report(forged, 0) is ReportFate.MALFORMED
    entry = msgspec.structs.replace(entry_of(forged), namespace=namespace, name=name)
    view.on_inventory(Inventory(incarnation=LIFE, epoch=1, entries=(entry,)))
    assert not view.strangers
