"""A node holds each content once, for as long as a pod uses it."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from volume_rig import Blobs, VolumeRig, container, mount, pod

from contract.ids import PodUid
from contract.messages.volume import Files
from wasm_executor.volumes.contents import Contents
from wasm_executor.volumes.errors import MountError
from wasm_executor.volumes.volumes import Volumes


def blobs(rig: VolumeRig) -> list[Path]:
    return sorted((rig.memory / "blobs").iterdir())


async def test_pods_share_one_copy_that_is_fetched_once(rig: VolumeRig) -> None:
    files = rig.blobs.files(a=b"shared")
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(rig.volumes.prepare(pod(container(), uid=f"u{number}", v=files)))
    assert len(rig.blobs.asked) == 1
    (blob,) = blobs(rig)
    found = {(rig.files_of("v", PodUid(f"u{n}")) / "a").stat().st_ino for n in range(20)}
    assert found == {blob.stat().st_ino}


async def test_content_goes_with_the_last_pod_that_uses_it(rig: VolumeRig) -> None:
    for uid in ("u1", "u2"):
        await rig.volumes.prepare(pod(container(), uid=uid, v=rig.blobs.files(a=b"shared")))
    await rig.volumes.drop(PodUid("u1"))
    assert len(blobs(rig)) == 1
    await rig.volumes.drop(PodUid("u2"))
    assert blobs(rig) == []


async def test_content_that_an_update_leaves_behind_goes(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"1")))
    await rig.volumes.update(pod(container(), v=rig.blobs.files(a=b"2")))
    assert [each.read_bytes() for each in blobs(rig)] == [b"2"]


async def test_content_of_a_run_that_mounts_a_part_stays_with_the_run(rig: VolumeRig) -> None:
    plan = pod(container(mount("v", "/etc/a", "a")), v=rig.blobs.files(a=b"1"))
    await rig.volumes.prepare(plan)
    rig.volumes.preopens(plan, plan.containers[0], 0)
    await rig.volumes.update(pod(container(), v=rig.blobs.files(a=b"2")))
    assert [each.read_bytes() for each in blobs(rig)] in ([b"1", b"2"], [b"2", b"1"])
    rig.volumes.take_run(plan.uid, plan.containers[0].name, 0)
    rig.volumes.empty()
    await rig.volumes.update(pod(container(), v=rig.blobs.files(a=b"3")))
    assert [each.read_bytes() for each in blobs(rig)] == [b"3"]


async def test_one_content_in_two_modes_is_fetched_once(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"x")))
    other = Files(files=(rig.blobs.file("b", b"x", 0o400),))
    await rig.volumes.prepare(pod(container(), uid="u2", v=other))
    assert len(rig.blobs.asked) == 1
    assert len(blobs(rig)) == 2


async def test_a_later_supervisor_makes_another_mode_from_what_is_here(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"x")))
    volumes = Volumes(rig.folder / "data", rig.folder / "run", rig.blobs.fetch)
    other = Files(files=(rig.blobs.file("b", b"x", 0o400),))
    await volumes.prepare(pod(container(), uid="u2", v=other))
    assert len(rig.blobs.asked) == 1


async def test_what_was_dropped_is_fetched_again_for_another_mode(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), uid="u1", v=rig.blobs.files(a=b"x")))
    await rig.volumes.drop(PodUid("u1"))
    other = Files(files=(rig.blobs.file("b", b"x", 0o400),))
    await rig.volumes.prepare(pod(container(), uid="u2", v=other))
    assert len(rig.blobs.asked) == 2


async def test_what_is_missing_is_not_looked_for_among_all_contents(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    def noting[**P, T](search: Callable[P, T]) -> Callable[P, T]:
        def noted(*args: P.args, **kwargs: P.kwargs) -> T:
            searched.append(str(args[0]))
            return search(*args, **kwargs)

        return noted

    monkeypatch.setattr(os, "scandir", noting(os.scandir))
    monkeypatch.setattr(os, "listdir", noting(os.listdir))
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"x", b=b"y")))
    assert str(rig.memory / "blobs") not in searched


async def test_contents_of_a_pod_are_fetched_side_by_side(tmp_path: Path) -> None:
    blobs, under_way, all_asked, may_come = Blobs(), 0, asyncio.Event(), asyncio.Event()

    async def fetch(digest: str) -> bytes:
        nonlocal under_way
        under_way += 1
        if under_way == 6:
            all_asked.set()
        await may_come.wait()
        return await blobs.fetch(digest)

    volumes = Volumes(tmp_path / "data", tmp_path / "run", fetch)
    one, two = blobs.files(a=b"1", b=b"2", c=b"3"), blobs.files(a=b"4", b=b"5", c=b"6")
    async with asyncio.TaskGroup() as tasks:
        preparing = tasks.create_task(volumes.prepare(pod(container(), v=one, w=two)))
        with suppress(TimeoutError):
            await asyncio.wait_for(all_asked.wait(), 10)
        asked_before_any_came = under_way
        may_come.set()
    assert asked_before_any_came == 6
    assert preparing.done()
    here = sorted((tmp_path / "run" / "volumes" / "blobs").iterdir())
    assert {each.read_bytes() for each in here} == {b"1", b"2", b"3", b"4", b"5", b"6"}


async def test_what_came_with_its_plan_is_not_fetched_and_not_kept(rig: VolumeRig) -> None:
    mine, other = rig.blobs.files(a=b"mine"), rig.blobs.files(b=b"another's")
    rig.volumes.bring(PodUid("u1"), [b"mine"])
    await rig.volumes.prepare(pod(container(), uid="u1", v=mine, w=other))
    assert (rig.files_of("v", PodUid("u1")) / "a").read_bytes() == b"mine"
    assert rig.blobs.asked == [file.blob for file in other.files]
    await rig.volumes.drop(PodUid("u1"))
    await rig.volumes.prepare(pod(container(), uid="u2", v=mine))
    assert len(rig.blobs.asked) == 2


async def test_one_volume_that_lacks_its_content_keeps_no_other_from_being_made(
    rig: VolumeRig,
) -> None:
    lost, here = rig.blobs.files(a=b"lost"), rig.blobs.files(b=b"here")
    del rig.blobs.known[lost.files[0].blob]
    with pytest.raises(MountError) as raised:
        await rig.volumes.prepare(pod(container(), v=lost, w=here))
    assert raised.value.volume == "v"
    assert (rig.files_of("w") / "b").read_bytes() == b"here"


async def test_failed_fetch_is_tried_again(rig: VolumeRig) -> None:
    files = rig.blobs.files(a=b"x")
    kept = rig.blobs.known.copy()
    rig.blobs.known.clear()
    plans = [pod(container(), uid=f"u{number}", v=files) for number in range(3)]
    failed = await asyncio.gather(
        *(rig.volumes.prepare(each) for each in plans), return_exceptions=True
    )
    assert all(failed)
    rig.blobs.known.update(kept)
    await rig.volumes.prepare(plans[0])
    assert (rig.files_of("v", PodUid("u0")) / "a").read_bytes() == b"x"


async def test_volumes_of_unknown_pods_are_dropped_and_no_others(rig: VolumeRig) -> None:
    for uid in ("u1", "u2"):
        await rig.volumes.prepare(pod(container(), uid=uid, v=rig.blobs.files(a=b"x")))
    await rig.volumes.drop_others([PodUid("u2")])
    assert not rig.files_of("v", PodUid("u1")).exists()
    assert (rig.files_of("v", PodUid("u2")) / "a").exists()


async def test_many_who_drop_at_once_do_not_stumble_over_one_another(tmp_path: Path) -> None:
    async def never(digest: str) -> bytes:
        raise AssertionError(digest)

    contents = Contents(str(tmp_path), never)
    for number in range(2000):
        (tmp_path / f"{number:064x}.644").touch()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(asyncio.to_thread(contents.drop_unused))
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing to wait for in a test
