"""Golden pairs: a pod and a report go in, the status that a kubelet would write comes out.

`NAME.input.json` holds `pod` (as the API has it) and `report`; `NAME.output.json` the whole status.
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

from contract.codec import decode
from contract.messages.report import PodReported
from kubekit.patches import status_patch
from pod_reconciler.domain.conditions import OWNED
from pod_reconciler.domain.pod import Pod, pod_from_json
from pod_reconciler.domain.rendering import OWNERSHIP, render
from pod_reconciler.domain.surroundings import Surroundings

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".input.json") for path in GOLDEN.glob("*.input.json"))
AROUND = Surroundings(node="wasm-1", host_ip="192.0.2.7")
NOW = datetime(2026, 1, 31, 12, 0, 30, 999, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)


def read(case: str) -> tuple[Pod, PodReported]:
    document = json.loads((GOLDEN / f"{case}.input.json").read_text())
    pod = pod_from_json(msgspec.json.encode(document["pod"]))
    return pod, decode(PodReported, msgspec.json.encode(document["report"]))


def output_of(case: str) -> Any:
    return json.loads((GOLDEN / f"{case}.output.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_rendered_status_is_the_golden_one(case: str) -> None:
    status = render(*read(case), AROUND, NOW)
    if "WASMLET_WRITE_GOLDENS" in os.environ:
        (GOLDEN / f"{case}.output.json").write_text(json.dumps(status, indent=2) + "\n")
    assert status == output_of(case)


@pytest.mark.parametrize("case", CASES)
def test_the_patch_leads_to_the_status_and_a_second_rendering_changes_nothing(case: str) -> None:
    pod, report = read(case)
    status = render(pod, report, AROUND, NOW)
    patch = status_patch(pod.metadata.uid, pod.status, status, OWNERSHIP)
    written = pod.status
    if patch is not None:
        written = merged_status(pod.status, json.loads(patch)["status"])
    assert {key: value for key, value in written.items() if key in status} == status
    again = msgspec.structs.replace(pod, status=written)
    rendered_again = render(again, report, AROUND, LATER)
    assert status_patch(pod.metadata.uid, written, rendered_again, OWNERSHIP) is None


def test_there_is_a_golden_pair_for_every_phase_and_condition_reason() -> None:
    outputs = [output_of(case) for case in CASES]
    assert {each["phase"] for each in outputs} == {"Pending", "Running", "Succeeded", "Failed"}
    reasons = {
        condition.get("reason")
        for each in outputs
        for condition in each["conditions"]
        if condition["type"] in OWNED and condition.get("reason")
    }
    assert reasons == {"ContainersNotReady", "PodCompleted", "PodFailed", "ReadinessGatesNotReady"}
