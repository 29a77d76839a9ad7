"""What a pod's end leaves of its volumes, and what a container's restart finds of them."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from executor_rig import Rig, executor_rig, kill_keeper, kill_supervisor

from contract.ids import NodeName
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.pull import PullPolicy
from contract.messages.volume import EmptyDir, Files, ImageVolume, Mount, VolumeFile, VolumePlan

SECRET = b"what nobody may keep"
DIGEST = hashlib.sha256(SECRET).hexdigest()


async def served(rig: Rig) -> None:
    async def serve(_node: NodeName, _command: BlobRead) -> BlobChunk:
        return BlobChunk(data=SECRET, total_bytes=len(SECRET))

    await rig.peer.serve_blobs(serve)


def with_volumes(plan: PodPlan) -> PodPlan:
    file = VolumeFile(path="s", blob=DIGEST, size_bytes=len(SECRET), mode=0o644)
    volumes = (
        VolumePlan(name="secret", source=Files(files=(file,))),
        VolumePlan(name="scratch", source=EmptyDir()),
    )
    mounts = (Mount(volume="secret", path="/secret"), Mount(volume="scratch", path="/scratch"))
    replace = msgspec.structs.replace
    container = replace(plan.containers[0], mounts=mounts)
    return replace(plan, containers=(container,), volumes=volumes)


def kept(rig: Rig) -> list[Path]:
    """What there is of any pod's volumes, and of their contents."""
    places = (rig.executor.run_dir / "volumes", rig.executor.folder / "data" / "volumes")
    parts = ("pods", "blobs", ".removed")
    return [each for place in places for part in parts for each in place.glob(f"{part}/*")]


@pytest.mark.parametrize("code", [0, 3])
async def test_a_pod_that_is_over_keeps_its_logs_and_no_volumes(tmp_path: Path, code: int) -> None:
    async with executor_rig(tmp_path) as rig:
        await served(rig)
        plan = rig.plan("exit_with", str(code), restart_policy=RestartPolicy.NEVER)
        plan = with_volumes(plan)
        await rig.peer.apply(plan)
        assert (await rig.peer.stopped(plan)).exit_code == code
        await rig.peer.until(lambda: not kept(rig))
        assert list((tmp_path / "logs" / "pods").glob(f"*{plan.uid}/c/0.log"))
        await kill_keeper(rig)
        again = [each.uid for each in (await rig.peer.report_all()).entries]
        assert (again, kept(rig)) == ([plan.uid], [])


async def test_a_next_life_drops_what_an_ended_pod_still_has(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        await served(rig)
        plan = with_volumes(rig.plan("exit_with", "0", restart_policy=RestartPolicy.NEVER))
        await rig.peer.apply(plan)
        await rig.peer.stopped(plan)
        await rig.peer.until(lambda: not kept(rig))
        left = rig.executor.run_dir / "volumes" / "pods" / plan.uid / "files"
        left.mkdir(parents=True)
        await kill_supervisor(rig)
        await rig.peer.until(lambda: not left.exists())


async def test_a_container_restarts_on_what_is_mounted_though_its_source_is_gone(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        await served(rig)
        plan = with_volumes(rig.plan("exit_with", "1"))
        await rig.peer.apply(plan)
        gone = VolumePlan(name="secret", missing='secret "s" not found')
        plan = msgspec.structs.replace(plan, volumes=(gone, plan.volumes[1]))

        def restarts() -> int:
            shown = rig.peer.container(plan)
            return 0 if shown is None else shown.restart_count

        await rig.peer.until(lambda: restarts() > 0)
        await rig.peer.apply(plan)
        before = restarts()
        await rig.peer.until(lambda: restarts() > before)
        await kill_supervisor(rig)
        before = restarts()
        await rig.peer.until(lambda: restarts() > before)
        assert "FailedMount" not in [reason for reason, _ in rig.peer.said(plan)]


async def test_an_image_that_is_mounted_and_cannot_be_had_is_told_as_the_containers_own(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        lost = ImageVolume(image="127.0.0.1:1/lost:v1", pull_policy=PullPolicy.NEVER)
        plan = rig.plan("exit_with", "0")
        mount = Mount(volume="lost", path="/lost")
        replace = msgspec.structs.replace
        container = replace(plan.containers[0], mounts=(mount,))
        volume = VolumePlan(name="lost", source=lost)
        plan = replace(plan, containers=(container,), volumes=(volume,))
        await rig.peer.apply(plan)
        waiting = await rig.peer.waiting(plan, "ErrImageNeverPull")
        message = 'Container image "127.0.0.1:1/lost:v1" is not present with pull policy of Never'
        assert waiting.message == message
        assert ("ErrImageNeverPull", message) in rig.peer.said(plan)
        assert "FailedMount" not in [reason for reason, _ in rig.peer.said(plan)]
