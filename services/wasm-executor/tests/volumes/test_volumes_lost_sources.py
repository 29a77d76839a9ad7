"""A ConfigMap or Secret that goes away under a pod: what is mounted stays, for restarts too."""

import os
from pathlib import Path

import msgspec
import pytest
from volume_rig import VolumeRig, container, mount, pod, volume_rig

from contract.messages.pod import PodPlan
from contract.messages.volume import VolumePlan
from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.volumes.errors import ContainerMountError, MountError

GONE = VolumePlan(name="v", missing="references non-existent secret key: k")


@pytest.fixture
def plan(rig: VolumeRig) -> PodPlan:
    return pod(container(mount("v", "/v"), mount("v", "/k", "k")), v=rig.blobs.files(k=b"kept"))


def without_source(plan: PodPlan) -> PodPlan:
    return msgspec.structs.replace(plan, volumes=(GONE,))


def read(rig: VolumeRig, plan: PodPlan, run: int) -> list[str]:
    """What a run of the container finds under both mounts."""
    found = []
    for shown in rig.volumes.preopens(plan, plan.containers[0], run):
        folder = open_beneath(shown.host_path, shown.beneath)
        try:
            file = Path(openable(folder), "k")
            found += [file.read_text()] if file.is_file() else []
        finally:
            os.close(folder)
    return found


async def test_next_run_sees_what_is_mounted_though_the_source_is_gone(
    rig: VolumeRig, plan: PodPlan
) -> None:
    await rig.volumes.prepare(plan)
    assert read(rig, plan, 0) == ["kept", "kept"]
    lost = without_source(plan)
    await rig.volumes.update(lost)
    assert read(rig, lost, 1) == ["kept", "kept"]


async def test_new_supervisor_goes_on_with_what_is_mounted(rig: VolumeRig, plan: PodPlan) -> None:
    await rig.volumes.prepare(plan)
    lost = without_source(plan)
    successor = volume_rig(rig.folder)
    await successor.volumes.prepare(lost)
    assert read(successor, lost, 1) == ["kept", "kept"]


async def test_source_that_never_was_is_not_mounted(rig: VolumeRig, plan: PodPlan) -> None:
    lost = without_source(plan)
    with pytest.raises(MountError):
        await rig.volumes.prepare(lost)
    with pytest.raises(ContainerMountError, match='cannot find volume "v"'):
        rig.volumes.preopens(lost, lost.containers[0], 0)


async def test_next_pod_of_the_same_id_does_not_find_what_was_dropped(
    rig: VolumeRig, plan: PodPlan
) -> None:
    await rig.volumes.prepare(plan)
    await rig.volumes.drop(plan.uid)
    with pytest.raises(MountError):
        await rig.volumes.prepare(without_source(plan))
