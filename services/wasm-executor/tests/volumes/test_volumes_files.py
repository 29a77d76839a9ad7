"""configMaps, secrets and their like: what lies on the node, and how it changes."""

import asyncio
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from keeper_rig import files_below
from volume_rig import UID, VolumeRig, container, mount, pod, volume_rig

from contract.messages.pod import PodPlan
from contract.messages.volume import EmptyDir, Files, VolumeFile, VolumePlan
from wasm_executor.volumes.errors import MountError


def tree(folder: Path) -> dict[str, str]:
    """Names and what they are: a symlink's target, a file's content, nothing for a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_text() if path.is_file() else ""
    return found


def visible(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if not each.name.startswith("..")}


def versions(folder: Path) -> list[str]:
    return [
        each.name
        for each in folder.iterdir()
        if each.name.startswith("..") and each.is_dir() and not each.is_symlink()
    ]


async def test_files_are_laid_out_as_a_kubelet_does(rig: VolumeRig) -> None:
    files = rig.blobs.files(name=b"one", deep__er__name=b"two", deep__other=b"three")
    await rig.volumes.prepare(pod(container(), v=files))
    folder = rig.files_of("v")
    (version,) = versions(folder)
    assert re.fullmatch(r"\.\.\d{4}(_\d\d){5}\.\d{10}", version)
    assert tree(folder) == {
        "..data": f"-> {version}",
        version: "",
        f"{version}/deep": "",
        f"{version}/deep/er": "",
        f"{version}/deep/er/name": "two",
        f"{version}/deep/other": "three",
        f"{version}/name": "one",
        "deep": "-> ..data/deep",
        "name": "-> ..data/name",
    }


async def test_update_swaps_versions_and_removes_stale_names(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(stays=b"1", goes=b"1", d__a=b"1")))
    folder = rig.files_of("v")
    (before,) = versions(folder)
    await rig.volumes.update(pod(container(), v=rig.blobs.files(stays=b"2", comes=b"2")))
    (after,) = versions(folder)
    assert after != before
    assert visible(folder) == {"stays", "comes"}
    assert (folder / "stays").read_text() == "2"


async def test_unchanged_files_are_not_written(rig: VolumeRig) -> None:
    plan = pod(container(), v=rig.blobs.files(b=b"1", a=b"2"))
    await rig.volumes.prepare(plan)
    folder = rig.files_of("v")
    before = folder.stat().st_mtime_ns, versions(folder)
    await rig.volumes.update(pod(container(), v=rig.blobs.files(a=b"2", b=b"1")))
    await rig.volumes.prepare(plan)
    assert (folder.stat().st_mtime_ns, versions(folder)) == before


async def test_restarted_supervisor_writes_nothing_that_is_there(
    rig: VolumeRig, tmp_path: Path
) -> None:
    plan = pod(container(), v=rig.blobs.files(a=b"2"))
    await rig.volumes.prepare(plan)
    before = versions(rig.files_of("v"))
    later = volume_rig(tmp_path)
    await later.volumes.prepare(plan)
    assert versions(rig.files_of("v")) == before
    assert later.blobs.asked == []


async def test_what_a_crash_left_half_done_is_mended(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"1")))
    folder = rig.files_of("v")
    (folder / "..data_tmp").symlink_to("..2026_half")
    (folder / "..2026_half").mkdir()
    await rig.volumes.update(pod(container(), v=rig.blobs.files(a=b"2")))
    assert (folder / "a").read_text() == "2"
    assert len(versions(folder)) == 1
    assert "..data_tmp" not in tree(folder)


async def test_modes_are_as_planned_inside_and_nobody_else_gets_in(rig: VolumeRig) -> None:
    files = Files(files=(rig.blobs.file("a", b"x", 0o400), rig.blobs.file("b", b"x", 0o644)))
    await rig.volumes.prepare(pod(container(), v=files))
    folder = rig.files_of("v")
    assert [stat.S_IMODE((folder / name).stat().st_mode) for name in "ab"] == [0o400, 0o644]
    assert stat.S_IMODE(rig.memory.stat().st_mode) == 0o700
    assert stat.S_IMODE(rig.disk.stat().st_mode) == 0o700
    assert rig.blobs.asked == [files.files[0].blob]


async def test_secrets_never_reach_the_data_directory(rig: VolumeRig) -> None:
    mounts = mount("v", "/etc/one", "a"), mount("v", "/etc/app"), mount("e", "/opt/two", "f")
    plan = pod(container(*mounts), v=rig.blobs.files(a=b"the marker"), e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "f").write_text("open")
    rig.volumes.preopens(plan, plan.containers[0], 0)
    assert any(b"the marker" in each for each in files_below(rig.memory).values())
    assert not any(b"the marker" in each for each in files_below(rig.disk).values())


INVALID = {
    "/a": "invalid path: must be relative path: /a",
    "a/../../b": "invalid path: must not contain '..': a/../../b",
    "..data": "invalid path: must not start with '..': ..data",
    "": 'invalid path: must not be empty: ""',
    "x" * 256: "invalid path: filenames must be less than or equal to 255 characters",
}


@pytest.mark.parametrize("path", INVALID)
async def test_path_that_leads_out_is_refused_in_the_kubelets_words(
    rig: VolumeRig, path: str
) -> None:
    files = Files(files=(rig.blobs.file(path, b"x"),))
    with pytest.raises(MountError) as refused:
        await rig.volumes.prepare(pod(container(), v=files))
    assert str(refused.value) == f'MountVolume.SetUp failed for volume "v" : {INVALID[path]}'
    assert not rig.files_of("v").exists()


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (("a", "a/b"), "cannot write a/b: File exists"),
        (("a/b", "a"), "cannot write a: File exists"),
        (("a", "a"), "cannot write a: File exists"),
    ],
)
async def test_paths_that_are_in_each_others_way_are_named(
    rig: VolumeRig, paths: tuple[str, str], text: str
) -> None:
    files = Files(files=tuple(rig.blobs.file(each, b"x") for each in paths))
    with pytest.raises(MountError) as refused:
        await rig.volumes.prepare(pod(container(), v=files))
    assert str(refused.value) == f'MountVolume.SetUp failed for volume "v" : {text}'
    assert not list(rig.files_of("v").iterdir())


async def test_missing_source_is_said_and_the_other_volumes_are_made(rig: VolumeRig) -> None:
    plan = PodPlan(
        uid=UID,
        namespace="default",
        name="p",
        containers=(),
        volumes=(
            VolumePlan(name="v", missing='configmap "x" not found'),
            VolumePlan(name="w", source=rig.blobs.files(a=b"1")),
        ),
    )
    with pytest.raises(MountError) as missing:
        await rig.volumes.prepare(plan)
    text = 'MountVolume.SetUp failed for volume "v" : configmap "x" not found'
    assert (str(missing.value), missing.value.volume) == (text, "v")
    assert (rig.files_of("w") / "a").read_text() == "1"
    await rig.volumes.update(plan)  # what had a source once and has none keeps what it has


async def test_content_that_is_not_its_digest_is_refused(rig: VolumeRig) -> None:
    file = rig.blobs.file("a", b"x")
    rig.blobs.known[file.blob] = b"another"
    with pytest.raises(MountError, match="not what its digest says"):
        await rig.volumes.prepare(pod(container(), v=Files(files=(file,))))
    assert list((rig.memory / "blobs").iterdir()) == []


async def test_content_that_nobody_has_makes_the_volume_wait(rig: VolumeRig) -> None:
    lost = VolumeFile(path="a", blob="0" * 64)
    with pytest.raises(MountError, match="nobody has the blob"):
        await rig.volumes.prepare(pod(container(), v=Files(files=(lost,))))


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden", ""])
async def test_volume_name_that_leads_elsewhere_is_refused(rig: VolumeRig, name: str) -> None:
    for source in (rig.blobs.files(a=b"1"), EmptyDir()):
        odd = (VolumePlan(name=name, source=source),)
        plan = msgspec.structs.replace(pod(container()), volumes=odd)
        with pytest.raises(MountError, match="invalid volume name"):
            await rig.volumes.prepare(plan)


async def test_blob_that_is_named_by_no_digest_is_refused(rig: VolumeRig) -> None:
    odd = Files(files=(VolumeFile(path="a", blob="../standing"),))
    with pytest.raises(MountError, match="is no digest"):
        await rig.volumes.prepare(pod(container(), v=odd))


async def test_failed_update_leaves_the_version_before(rig: VolumeRig) -> None:
    await rig.volumes.prepare(pod(container(), v=rig.blobs.files(a=b"1")))
    clash = rig.blobs.files(a=b"2", a__b=b"2")
    with pytest.raises(MountError):
        await rig.volumes.update(pod(container(), v=clash))
    assert (rig.files_of("v") / "a").read_text() == "1"
    assert len(versions(rig.files_of("v"))) == 1


async def test_no_reader_ever_sees_two_versions(rig: VolumeRig) -> None:
    """A reader that takes `..data` once finds one version there, whole, or none."""
    folder = rig.files_of("v")
    both = [rig.blobs.files(a=each, b=each) for each in (b"1" * 9000, b"2" * 9000)]
    await rig.volumes.prepare(pod(container(), v=both[0]))

    def read_until(stop: asyncio.Event) -> int:
        seen = 0
        while not stop.is_set():
            version = os.open(folder / "..data", os.O_PATH)
            try:
                pair = [Path(f"/proc/self/fd/{version}/{name}").read_bytes() for name in "ab"]
                assert pair[0] == pair[1]
                assert len(pair[0]) == 9000
                seen += 1
            except FileNotFoundError:
                pass
            finally:
                os.close(version)
        return seen

    stop = asyncio.Event()
    reading = asyncio.to_thread(read_until, stop)
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(reading)
        for turn in range(60):
            await rig.volumes.update(pod(container(), v=both[(turn + 1) % 2]))
        stop.set()
    assert reader.result() > 0


async def test_what_is_being_made_when_its_pod_goes_does_not_come_back(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    linking, go_on, link = threading.Event(), threading.Event(), os.link

    def slow_link(*args: Any, **more: Any) -> None:
        linking.set()
        go_on.wait(30)
        link(*args, **more)

    monkeypatch.setattr(os, "link", slow_link)
    many = rig.blobs.files(**{f"f{i}": b"secret" for i in range(100)})
    plan = pod(container(), first=many, second=many)
    async with asyncio.TaskGroup() as tasks:
        making = tasks.create_task(rig.volumes.prepare(plan), name="making")
        await asyncio.to_thread(linking.wait, 30)
        making.cancel()
        dropping = tasks.create_task(rig.volumes.drop(UID), name="dropping")
        await asyncio.wait([dropping], timeout=0.2)  # it would be through, were nobody waited for
        go_on.set()
        await dropping
    assert making.cancelled()
    await asyncio.get_running_loop().shutdown_default_executor()  # every thread is through
    assert not list((rig.memory / "pods").iterdir())
