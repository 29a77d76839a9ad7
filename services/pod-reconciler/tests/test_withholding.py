"""Ephemeral containers that cannot be had: their pods run on, and they say what is wrong."""

from typing import Any

import pytest
from reconciler_peer import container, running
from reconciler_samples import AROUND, acked, live_view, pod_json, pod_of, report_of, see

from contract.messages.pod import ContainerRole
from pod_reconciler.domain.duties import CommandDue, command_due
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.rendering import render
from pod_reconciler.domain.tracking import NodeView


def debugged(*containers: dict[str, Any], version: int = 2) -> dict[str, Any]:
    """The pod after `kubectl debug`."""
    json = pod_json(version=version, ephemeralContainers=list(containers))
    json["metadata"]["generation"] = 2
    return json


def names_in(record: PodRecord) -> list[str]:
    assert record.plan is not None
    return [each.name for each in record.plan.containers]


def running_view() -> tuple[NodeView, PodRecord]:
    view = live_view()
    record = see(view, pod_json())
    acked(view, record)
    return view, record


def test_an_ephemeral_container_makes_a_new_plan() -> None:
    view, record = running_view()
    see(view, debugged({"name": "debug", "image": "i"}))
    assert record.plan is not None
    assert record.plan.containers[-1].role is ContainerRole.EPHEMERAL
    assert record.plan.generation == 2
    assert command_due(view, record) is CommandDue.APPLY


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"volumeDevices": [{"name": "d", "devicePath": "/d"}]},
            "spec.ephemeralContainers[1].volumeDevices[0]: block devices are not given to guests",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]},
            (
                "spec.ephemeralContainers[1].env[0].valueFrom.fieldRef.fieldPath:"
                " 'spec.nope' is not supported"
            ),
        ),
    ],
)
def test_one_that_cannot_be_had_is_left_out_and_says_why(
    fields: dict[str, Any], reason: str
) -> None:
    view, record = running_view()
    good, bad = {"name": "good", "image": "i"}, {"name": "bad", "image": "i", **fields}
    json = debugged(good, bad)
    see(view, json)
    assert record.state is PodState.ADMITTED
    assert names_in(record) == ["main", "good"]
    report = report_of("u-1", container(running()), container(running(), "good"))
    status = render(pod_of(json), report, AROUND, report.started_at, withheld=record.withheld)
    shown = {each["name"]: each["state"] for each in status["ephemeralContainerStatuses"]}
    assert "running" in shown["good"]
    assert shown["bad"]["waiting"] == {"reason": "CreateContainerConfigError", "message": reason}
    assert status["phase"] == "Running"


def test_a_pod_is_not_turned_away_for_an_ephemeral_container() -> None:
    view = live_view()
    record = see(view, debugged({"name": "debug", "image": "i", "volumeDevices": [{"name": "d"}]}))
    assert record.state is PodState.ADMITTED
    assert names_in(record) == ["main"]
