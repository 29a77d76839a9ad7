"""What a claim has to be before a pod may use it, and which volumes a node can mount."""

from typing import Any

import msgspec
import pytest

from pod_reconciler.domain.claim import Claim, volume_of
from pod_reconciler.domain.material import HostVolume, Lack


def claim_of(**fields: Any) -> Claim:
    json = {
        "metadata": {"uid": "1"},
        "spec": {"volumeName": "pv"},
        "status": {"phase": "Bound"},
    } | fields
    return msgspec.convert(json, Claim)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, ""),
        ({"status": {"phase": "Pending"}}, "PVC is not bound"),
        ({"spec": {}}, "PVC has empty pvc.Spec.VolumeName"),
        (
            {"metadata": {"uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            "PVC is being deleted",
        ),
        (
            {
                "metadata": {
                    "uid": "1",
                    "deletionTimestamp": "2026-01-01T00:00:00Z",
                    "finalizers": ["kubernetes.io/pvc-protection"],
                }
            },
            "",
        ),
    ],
)
def test_a_claim_is_used_only_once_it_is_bound(fields: dict[str, Any], problem: str) -> None:
    assert claim_of(**fields).problem == problem


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"local": {"path": "/l"}}, HostVolume(path="/l", path_type="Directory")),
        ({"hostPath": {"path": "/h", "type": ""}}, HostVolume(path="/h")),
        (
            {"nfs": {"server": "s"}, "capacity": {"storage": "1Gi"}},
            Lack(problem="PV pv is of a type that this node cannot mount: nfs"),
        ),
        (
            {"local": {"path": "/l"}, "volumeMode": "Block"},
            Lack(problem="PV pv has volumeMode Block, but is specified in volumeMounts"),
        ),
        (
            {"local": {"path": "/l"}, "claimRef": {"uid": "2"}},
            Lack(
                problem="found PV object pv but its pv.Spec.ClaimRef.UID 2 "
                "does not point to claim.UID 1"
            ),
        ),
    ],
)
def test_only_a_volume_that_is_a_folder_of_the_node_is_had(
    spec: dict[str, Any], found: object
) -> None:
    assert volume_of(claim_of(), "pv", {"claimRef": {"uid": "1"}} | spec) == found
