"""The mounts of a plan: what of a volume a container sees, and which cannot be had."""

from typing import Any

import pytest
from reconciler_volumes import mounted

from contract.messages.volume import (
    Mount,
)
from pod_reconciler.errors import PlanError


@pytest.mark.parametrize(
    ("mount", "planned_mount"),
    [
        ({}, Mount(volume="v", path="/v")),
        ({"readOnly": True}, Mount(volume="v", path="/v", read_only=True)),
        ({"mountPath": "data/"}, Mount(volume="v", path="/data")),
        ({"mountPath": "//d//e/"}, Mount(volume="v", path="/d/e")),
        ({"subPath": "a/b"}, Mount(volume="v", path="/v", sub_path="a/b")),
        ({"subPathExpr": "x-$(NAME)"}, Mount(volume="v", path="/v", sub_path="x-n")),
        ({"subPathExpr": "$$(NO)"}, Mount(volume="v", path="/v", sub_path="$(NO)")),
    ],
)
def test_a_mount_is_planned(mount: dict[str, Any], planned_mount: Mount) -> None:
    assert mounted(mount).mounts == (planned_mount,)


def test_a_claim_that_is_read_only_is_mounted_so() -> None:
    source = {"persistentVolumeClaim": {"claimName": "disk", "readOnly": True}}
    assert mounted({}, source).mounts[0].read_only


@pytest.mark.parametrize(
    ("mount", "error"),
    [
        ({"subPathExpr": "$(NO)/$(EMPTY)/$(NAME)"}, "missing value for EMPTY, NO"),
        ({"subPath": "/a"}, "error SubPath `/a` must not be an absolute path"),
        ({"subPath": "a/../b"}, "unable to provision SubPath `a/../b`: must not contain '..'"),
    ],
)
def test_a_part_that_cannot_be_named_keeps_the_container_waiting(
    mount: dict[str, Any], error: str
) -> None:
    plan = mounted(mount)
    assert plan.config_error == error
    assert plan.mounts == ()


@pytest.mark.parametrize("mount", [{"mountPath": ""}, {"mountPath": "/a:b"}, {"name": "other"}])
def test_a_mount_that_no_api_server_accepts_is_refused(mount: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=r"spec\.containers\[0\]\.volumeMounts\[0\]"):
        mounted(mount)
