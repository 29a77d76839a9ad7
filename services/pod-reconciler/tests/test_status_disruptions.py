"""Which ends of a pod are its node's doing, so that a Job may forgive them, and which its own."""

from datetime import UTC, datetime

import pytest
from reconciler_samples import AROUND, pod_json, pod_of, report_of

from contract.ids import ContainerName
from contract.messages.report import ContainerReport, Terminated
from pod_reconciler.domain.rendering import render

NOW = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "told"), [("Terminated", True), ("Evicted", False), ("DeadlineExceeded", False)]
)
def test_a_shutdown_is_a_disruption_and_an_emptydir_or_a_deadline_is_the_pod_s_own(
    reason: str, *, told: bool
) -> None:
    end = Terminated(exit_code=143, reason="Error", started_at=NOW, finished_at=NOW)
    container = ContainerReport(name=ContainerName("c"), state=end)
    report = report_of("u-1", container, stopped=True, reason=reason, message="why")
    status = render(pod_of(pod_json()), report, AROUND, NOW)
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    kinds = {condition["type"] for condition in status["conditions"]}
    assert ("DisruptionTarget" in kinds) is told
