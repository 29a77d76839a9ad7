"""Annotations that turn wrong while their pod runs: it goes on, hears of news, can be deleted."""

from typing import Any

import pytest
from reconciler_peer import container, running
from reconciler_samples import acked, deleted, live_view, pod_json, report_of, see

from contract.messages.pod import Drain
from pod_reconciler.domain.duties import CommandDue, command_due
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.material import Material
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView

DRAIN = "wasmlet.dev/drain"
OURS = (DRAIN, "wasmlet.dev/wagi-modules", "wasmlet.dev/http-reuse")


def annotated(version: int = 2, **more: Any) -> dict[str, Any]:
    return _with(pod_json(version=version), dict.fromkeys(OURS, "nonsense"), more)


def _with(
    json: dict[str, Any], annotations: dict[str, str], more: dict[str, Any]
) -> dict[str, Any]:
    return json | {"metadata": json["metadata"] | {"annotations": annotations}} | more


def taken_on(annotations: dict[str, str] | None = None) -> tuple[NodeView, PodRecord]:
    view = live_view()
    record = see(view, _with(pod_json(), annotations or {}, {}))
    acked(view, record)
    view.on_report(report_of("u-1", container(running())), 0)
    return view, record


def test_a_running_pod_keeps_what_held_before_and_says_once_what_is_wrong() -> None:
    view, record = taken_on({DRAIN: "stdin-eof"})
    see(view, annotated())
    assert record.plan is not None
    assert record.plan.drain is Drain("stdin-eof")
    assert record.state is PodState.ADMITTED
    assert command_due(view, record) is None
    assert [name for name in OURS for told in record.untold_faults if name in told] == list(OURS)
    record.untold_faults = ()
    view.on_material(record.uid, Material(services={"NEWS": "later"}))
    assert record.untold_faults == ()
    assert command_due(view, record) is CommandDue.APPLY
    see(view, pod_json(version=3))
    assert record.faults == {}


def test_a_deletion_reaches_the_node_whatever_the_annotations_say() -> None:
    view, record = taken_on()
    see(view, annotated())
    see(view, deleted(annotated(), version=3))
    assert record.plan is not None
    assert record.plan.deletion is not None
    assert command_due(view, record) is CommandDue.APPLY


def test_a_pod_that_ended_in_the_api_is_stopped_whatever_the_annotations_say() -> None:
    view, record = taken_on()
    see(view, annotated(status={"phase": "Failed"}))
    assert record.state is PodState.ENDED
    assert record.plan is not None
    assert record.plan.deletion is not None
    assert command_due(view, record) is CommandDue.APPLY


@pytest.mark.parametrize("status", [{"startTime": "2026-01-01T00:00:00Z"}, {}])
def test_the_next_leader_plans_without_them(status: dict[str, Any]) -> None:
    view = live_view(report_of("u-1", container(running())))
    record = see(view, annotated(status=status))
    assert record.state is PodState.ADMITTED
    assert record.refusal is None
    see(view, deleted(annotated(), version=3))
    assert record.plan is not None
    assert record.plan.deletion is not None
    assert command_due(view, record) is CommandDue.APPLY


def test_a_deletion_needs_no_new_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    view, record = taken_on()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pod_reconciler.domain.annotating.planned", broken)
    see(view, deleted(pod_json()))
    assert record.plan is not None
    assert record.plan.deletion is not None
    assert command_due(view, record) is CommandDue.APPLY


def test_a_new_pod_is_refused_for_them() -> None:
    record = see(live_view(), annotated())
    assert record.state is PodState.REFUSED
    assert record.refusal is not None
    assert DRAIN in record.refusal.message
