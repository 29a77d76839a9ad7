"""Volumes made of images: what guests see of them, and of a part that is not there."""

from pathlib import Path

import pytest
from keeper_rig import Supervisor
from volume_rig import UID, VolumeRig, container, mount, pod, ran

from contract.messages.volume import ImageVolume
from wasm_executor.volumes.errors import ContainerMountError, ImageMountError


async def test_image_volume_is_seen_read_only_in_whole_and_in_parts(
    rig: VolumeRig, supervisor: Supervisor, tmp_path: Path
) -> None:
    folder = tmp_path / "rootfs"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "m").write_text("weights")
    whole, part = mount("i", "/whole"), mount("i", "/part", "models")
    file, lost = mount("i", "/one/m", "models/m"), mount("i", "/lost", "nowhere")
    image = ImageVolume(image="example/i:1")
    plan = pod(container(whole, part, file), container(lost, name="lost"), i=image)
    await rig.volumes.prepare(plan)
    with pytest.raises(ContainerMountError, match='cannot find volume "i" to mount'):
        rig.volumes.preopens(plan, plan.containers[0], 0)
    rig.volumes.image_folders.put(UID, "i", str(folder))
    assert await ran(supervisor, rig, plan, "/whole", "r", "models/m") == (0, "weights")
    assert await ran(supervisor, rig, plan, "/part", "r", "m") == (0, "weights")
    assert await ran(supervisor, rig, plan, "/one", "r", "m") == (0, "weights")
    code, _ = await ran(supervisor, rig, plan, "/whole", "w", "models/m", "mine")
    assert code != 0
    assert (folder / "models" / "m").read_text() == "weights"
    with pytest.raises(ImageMountError) as caught:
        rig.volumes.preopens(plan, plan.containers[1], 0)
    assert caught.value.message == (
        'ImageVolumeMountFailed: subPath \'nowhere\' of volumeMount "i" of container "lost": '
        "no such file or directory"
    )
    await rig.volumes.drop(UID)
    assert (folder / "models" / "m").exists()
