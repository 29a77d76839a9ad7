"""Golden pairs: a pod and a report go in, the status that a kubelet would write comes out.

`NAME.input.json` holds `pod` (as the API has it), `report`, and `withheld` where a container is;
`NAME.output.json` the whole status.
Run with WASMLET_WRITE_GOLDENS=1 to write outputs anew, then read the difference.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from reconciler_objects import merged_status
from reconciler_samples import AROUND

from contract.codec import decode
from contract.messages.report import PodReported
from kubekit.patches import status_patch
from pod_reconciler.domain.conditions import OWNED
from pod_reconciler.domain.pod import STATUS_FIELDS, Pod, pod_from_json
from pod_reconciler.domain.rendering import OWNERSHIP, render

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".input.json") for path in GOLDEN.glob("*.input.json"))
NOW = datetime(2026, 1, 31, 12, 0, 30, 999, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)


def document_of(case: str) -> Any:
    return json.loads((GOLDEN / f"{case}.input.json").read_text())


def pod_of(case: str) -> Pod:
    return pod_from_json(msgspec.json.encode(document_of(case)["pod"]))


def rendered(case: str, pod: Pod, now: datetime = NOW) -> Any:
    document = document_of(case)
    report = decode(PodReported, msgspec.json.encode(document["report"]))
    return render(pod, report, AROUND, now, withheld=document.get("withheld"))


def output_of(case: str) -> Any:
    return json.loads((GOLDEN / f"{case}.output.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_rendered_status_is_the_golden_one(case: str) -> None:
    status = rendered(case, pod_of(case))
    if "WASMLET_WRITE_GOLDENS" in os.environ:
        (GOLDEN / f"{case}.output.json").write_text(json.dumps(status, indent=2) + "\n")
    assert status == output_of(case)


@pytest.mark.parametrize("case", CASES)
def test_the_patch_leads_to_the_status_and_a_second_rendering_changes_nothing(case: str) -> None:
    pod = pod_of(case)
    status = rendered(case, pod)
    patch = status_patch(pod.metadata.uid, pod.status, status, OWNERSHIP)
    written = pod.status
    if patch is not None:
        written = merged_status(pod.status, json.loads(patch)["status"])
    assert {key: value for key, value in written.items() if key in status} == status
    again = msgspec.structs.replace(pod, status=written)
    rendered_again = rendered(case, again, LATER)
    assert status_patch(pod.metadata.uid, written, rendered_again, OWNERSHIP) is None


def test_there_is_a_golden_pair_for_every_phase_and_condition_reason() -> None:
    outputs = [output_of(case) for case in CASES]
    assert {each["phase"] for each in outputs} == {"Pending", "Running", "Succeeded", "Failed"}
    told = [
        (condition["type"], condition["status"], condition.get("reason", ""))
        for each in outputs
        for condition in each["conditions"]
        if condition["type"] in OWNED or condition.get("reason") == "TerminationByKubelet"
    ]
    assert set(told) == {
        ("PodReadyToStartContainers", "True", ""),
        ("PodReadyToStartContainers", "False", ""),
        ("Initialized", "True", ""),
        ("Initialized", "True", "PodCompleted"),
        ("Initialized", "False", "ContainersNotInitialized"),
        ("Ready", "True", ""),
        ("Ready", "False", "ContainersNotReady"),
        ("Ready", "False", "PodCompleted"),
        ("Ready", "False", "PodFailed"),
        ("Ready", "False", "ReadinessGatesNotReady"),
        ("ContainersReady", "True", ""),
        ("ContainersReady", "False", "ContainersNotReady"),
        ("ContainersReady", "False", "PodCompleted"),
        ("ContainersReady", "False", "PodFailed"),
        ("PodScheduled", "True", ""),
        ("AllContainersRestarting", "True", "RestartAllContainersStarted"),
        ("AllContainersRestarting", "False", ""),
        ("AllContainersRestarting", "False", "PodCompleted"),
        ("AllContainersRestarting", "False", "PodFailed"),
        ("DisruptionTarget", "True", "TerminationByKubelet"),
    }


def test_there_is_a_golden_pair_for_every_reason_of_a_container_and_of_a_pod() -> None:
    outputs = [output_of(case) for case in CASES]
    states = [
        status["state"]
        for each in outputs
        for field in STATUS_FIELDS
        for status in each.get(field, ())
    ]
    assert {each["waiting"]["reason"] for each in states if "waiting" in each} == {
        "ContainerCreating",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "PodInitializing",
        "PostStartHookError",
        "RestartingAllContainers",
        "RunContainerError",
    }
    assert {each["terminated"]["reason"] for each in states if "terminated" in each} == {
        "Completed",
        "ContainerStatusUnknown",
        "Error",
        "OOMKilled",
        "StartError",
    }
    assert {each.get("reason", "") for each in outputs} >= {
        "DeadlineExceeded",
        "Evicted",
        "Terminated",
    }
