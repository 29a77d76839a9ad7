"""A pod that its node does not take: the status that a kubelet writes when it rejects one."""

import json
from datetime import UTC, datetime

import msgspec
from reconciler_objects import merged_status
from reconciler_samples import AROUND, pod_json, pod_of, report_of

from contract.ids import ContainerName
from contract.messages.report import ContainerReport, PodReported, Terminated
from kubekit.patches import status_patch
from pod_reconciler.domain.rendering import OWNERSHIP, render

NOW = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
REFUSED = {
    "phase": "Failed",
    "reason": "NodeShutdown",
    "message": "Pod was rejected: Pod was rejected as the node is shutting down.",
}


def refusal(*, stopped: bool = True) -> PodReported:
    never_ran = Terminated(
        exit_code=137, reason="ContainerStatusUnknown", started_at=NOW, finished_at=NOW
    )
    container = ContainerReport(name=ContainerName("c"), state=never_ran)
    return report_of(
        "u-1",
        container,
        stopped=stopped,
        reason="NodeShutdown",
        message="Pod was rejected as the node is shutting down.",
    )


def test_a_pod_refused_by_its_node_has_no_containers_and_is_no_disruption() -> None:
    status = render(pod_of(pod_json()), refusal(), AROUND, NOW)
    assert status.items() >= REFUSED.items()
    assert "containerStatuses" not in status
    assert "conditions" not in status


def test_it_is_said_once() -> None:
    pod = pod_of(pod_json())
    patch = status_patch(pod.metadata.uid, pod.status, render(pod, refusal(), AROUND, NOW))
    assert patch is not None
    written = merged_status(pod.status, json.loads(patch)["status"])
    again = render(msgspec.structs.replace(pod, status=written), refusal(), AROUND, LATER)
    assert status_patch(pod.metadata.uid, written, again, OWNERSHIP) is None


def test_it_is_not_said_before_it_is_certain_that_nothing_runs() -> None:
    status = render(pod_of(pod_json()), refusal(stopped=False), AROUND, NOW)
    assert status["phase"] == "Pending"
