"""Whatever a node reports, in whatever order: no write loop, and nothing that the API refuses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from reconciler_objects import Json, merged_status
from reconciler_samples import AROUND, pod_of
from reconciler_statuses import FIELDS, pods, refusals, reports

from contract.messages.report import PodReported
from kubekit.patches import status_patch
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.rendering import OWNERSHIP, render

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ENDED = ("Succeeded", "Failed")


def written(pod: Pod, report: PodReported, now: datetime = NOW) -> tuple[Json, bool]:
    """The status that the API server holds after a report, and whether that took a write."""
    status = render(pod, report, AROUND, now)
    patch = status_patch(pod.metadata.uid, pod.status, status, OWNERSHIP)
    if patch is None:
        return pod.status, False
    return merged_status(pod.status, json.loads(patch)["status"]), True


def with_status(pod: Pod, status: Json) -> Pod:
    return msgspec.structs.replace(pod, status=status)


@given(pods(), st.lists(reports(), min_size=1, max_size=3))
def test_a_report_is_written_once_however_often_it_is_rendered(
    made: Json, told: list[PodReported]
) -> None:
    pod = pod_of(made)
    for report in told:
        status, _ = written(pod, report)
        pod = with_status(pod, status)
        assert written(pod, report, NOW + timedelta(hours=1)) == (status, False)


@given(pods(), st.lists(reports(), min_size=1, max_size=4))
def test_no_status_is_one_that_the_api_server_refuses_or_that_goes_back(
    made: Json, told: list[PodReported]
) -> None:
    pod = pod_of(made)
    for report in told:
        before, (after, _) = pod.status, written(pod, report)
        assert refusals(made["spec"], before, after) == []
        assert gate_of(after) == gate_of(before)
        assert after.get("observedGeneration", 0) >= before.get("observedGeneration", 0)
        for name, count in counts(before).items():
            assert counts(after)[name] >= count
        assert_phase_is_right(before, after, report)
        pod = with_status(pod, after)


def assert_phase_is_right(before: Json, after: Json, report: PodReported) -> None:
    conditions = {each["type"]: each for each in after["conditions"]}
    if before["phase"] in ENDED:
        assert after["phase"] == before["phase"]
    elif not report.stopped:
        assert after["phase"] not in ENDED
        assert "DisruptionTarget" not in conditions
    else:
        assert after["phase"] in ENDED
        assert after.get("reason", "") == report.reason
    if after["phase"] in ENDED:
        assert conditions["Ready"]["status"] == "False"
        assert conditions["ContainersReady"]["status"] == "False"
    if conditions["Ready"]["status"] == "True":
        assert conditions["ContainersReady"]["status"] == "True"
    was = {each["type"]: each["status"] for each in before["conditions"]}
    if was.get("Initialized") == "True":
        assert conditions["Initialized"]["status"] == "True"


def gate_of(status: Json) -> Json:
    """The condition that is somebody else's."""
    found: Json = next(each for each in status["conditions"] if each["type"] == "example.com/gate")
    return found


def counts(status: Json) -> dict[str, Any]:
    return {
        each["name"]: each["restartCount"]
        for field in FIELDS.values()
        for each in status.get(field, ())
    }
