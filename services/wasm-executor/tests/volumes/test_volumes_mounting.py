"""What a container's process is told to preopen."""

import os
from pathlib import Path

import pytest
from volume_rig import UID, VolumeRig, container, mount, pod, volume_rig

from contract.messages.pod import PodPlan
from contract.messages.volume import EmptyDir, HostPath, Mount
from wasm_executor.container.beneath import open_beneath, openable
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.errors import ContainerMountError


def shown(rig: VolumeRig, plan: PodPlan, run: int = 0, *others: Preopen) -> dict[str, Preopen]:
    made = rig.volumes.preopens(plan, plan.containers[0], run, others)
    assert len({each.guest_path for each in made}) == len(made)
    return {each.guest_path: each for each in made}


def host(preopen: Preopen) -> Path:
    """Where it really is."""
    descriptor = open_beneath(preopen.host_path, preopen.beneath)
    try:
        return Path(openable(descriptor)).readlink()
    finally:
        os.close(descriptor)


def here(folder: str) -> Path:
    return Path(folder)


def names(preopen: Preopen) -> list[str]:
    return [each.name for each in host(preopen).iterdir()]


async def refusal(rig: VolumeRig, plan: PodPlan) -> str:
    await rig.volumes.prepare(plan)
    with pytest.raises(ContainerMountError) as refused:
        rig.volumes.preopens(plan, plan.containers[0], 0)
    return str(refused.value)


async def test_container_without_mounts_sees_what_others_show_and_nothing_is_made(
    rig: VolumeRig,
) -> None:
    plan = pod(container(), e=EmptyDir())
    words = Preopen(host_path="/w", guest_path="/dev")
    assert rig.volumes.preopens(plan, plan.containers[0], 0, [words]) == (words,)
    assert not (rig.memory / "pods" / UID).exists()


async def test_volumes_are_preopened_under_their_paths(rig: VolumeRig) -> None:
    mounts = mount("e", "/data/"), mount("e", "/./ro", read_only=True), mount("f", "etc/app")
    plan = pod(container(*mounts), e=EmptyDir(), f=rig.blobs.files(a=b"x"))
    await rig.volumes.prepare(plan)
    made = shown(rig, plan)
    assert {path: (host(each), each.read_only) for path, each in made.items()} == {
        "/data": (rig.empty_dir_of("e"), False),
        "/ro": (rig.empty_dir_of("e"), True),
        "/etc/app": (rig.files_of("f"), True),
        "/": (host(made["/"]), True),
    }


async def test_root_shows_the_way_to_the_mounts(rig: VolumeRig, tmp_path: Path) -> None:
    mounts = mount("e", "/a/b/c"), mount("f", "/etc/app.conf", "a")
    plan = pod(container(*mounts), e=EmptyDir(), f=rig.blobs.files(a=b"x"))
    await rig.volumes.prepare(plan)
    words = Preopen(host_path=str(tmp_path), guest_path="/dev")
    root = host(shown(rig, plan, 0, words)["/"])
    found = {str(each.relative_to(root)) for each in root.rglob("*")}
    assert found == {"a", "a/b", "a/b/c", "etc", "dev"}


async def test_mount_below_a_mount_appears_in_it(rig: VolumeRig, tmp_path: Path) -> None:
    mounts = mount("e", "/data"), mount("e2", "/data/in/ner"), mount("e", "/dev/shm")  # noqa: S108
    plan = pod(container(*mounts), e=EmptyDir(), e2=EmptyDir())
    await rig.volumes.prepare(plan)
    made = shown(rig, plan, 0, Preopen(host_path=str(tmp_path), guest_path="/dev"))
    assert host(made["/data/in/ner"]) == rig.empty_dir_of("e2")
    assert (rig.empty_dir_of("e") / "in" / "ner").is_dir()
    assert (tmp_path / "shm").is_dir()


async def test_deeper_paths_come_first(rig: VolumeRig) -> None:
    """For a guest's library that takes the first match and not the longest."""
    mounts = mount("e", "/a"), mount("e", "/a/b/c"), mount("e", "/a/b")
    plan = pod(container(*mounts), e=EmptyDir())
    await rig.volumes.prepare(plan)
    assert list(shown(rig, plan)) == ["/a/b/c", "/a/b", "/a", "/"]


async def test_single_files_lie_alone_in_a_folder_named_as_their_parent(rig: VolumeRig) -> None:
    files = rig.blobs.files(a=b"1", b=b"2", c=b"3")
    mounts = mount("f", "/etc/x/one", "a"), mount("f", "/etc/x/two", "b")
    plan = pod(container(*mounts), f=files)
    await rig.volumes.prepare(plan)
    made = shown(rig, plan)["/etc/x"]
    assert made.read_only
    assert {each.name: each.read_text() for each in host(made).iterdir()} == {
        "one": "1",
        "two": "2",
    }


async def test_part_of_a_volume_stays_as_it_was_for_the_run_and_its_execs(rig: VolumeRig) -> None:
    mounts = mount("f", "/etc/one", "a"), mount("f", "/opt/d", "d"), mount("f", "/whole")
    plan = pod(container(*mounts), f=rig.blobs.files(a=b"1", d__x=b"1", d__e__y=b"1"))
    await rig.volumes.prepare(plan)
    before = shown(rig, plan)
    changed = pod(container(*mounts), f=rig.blobs.files(a=b"2", d__x=b"2"))
    await rig.volumes.update(changed)
    assert shown(rig, changed) == before
    assert (host(before["/etc"]) / "one").read_text() == "1"
    assert (host(before["/opt/d"]) / "x").read_text() == "1"
    assert (host(before["/opt/d"]) / "e" / "y").read_text() == "1"
    assert (host(before["/whole"]) / "a").read_text() == "2"
    later = shown(rig, changed, run=1)
    assert (host(later["/etc"]) / "one").read_text() == "2"
    assert names(later["/opt/d"]) == ["x"]


async def test_restarted_supervisor_shows_a_run_what_it_had(rig: VolumeRig, tmp_path: Path) -> None:
    plan = pod(container(mount("f", "/etc/one", "a")), f=rig.blobs.files(a=b"1"))
    await rig.volumes.prepare(plan)
    before = shown(rig, plan)
    assert shown(volume_rig(tmp_path), plan) == before


async def test_sub_path_that_is_missing_becomes_a_folder(rig: VolumeRig) -> None:
    mounts = mount("e", "/a", "new/er"), mount("f", "/b", "none")
    plan = pod(container(*mounts), e=EmptyDir(), f=rig.blobs.files(a=b"1"))
    await rig.volumes.prepare(plan)
    made = shown(rig, plan)
    assert host(made["/a"]) == rig.empty_dir_of("e") / "new" / "er"
    assert host(made["/a"]).is_dir()
    assert names(made["/b"]) == []
    assert not (rig.files_of("f") / "none").exists()


async def test_sub_path_follows_symlinks_inside_its_volume_only(rig: VolumeRig) -> None:
    plan = pod(container(mount("e", "/b", "../x")), e=EmptyDir())
    assert await refusal(rig, plan) == "unable to provision SubPath `../x`: must not contain '..'"
    plan = pod(container(mount("e", "/b", "/x")), e=EmptyDir())
    assert await refusal(rig, plan) == "error SubPath `/x` must not be an absolute path"
    folder = rig.empty_dir_of("e")
    (folder / "real").mkdir()
    (folder / "inner").symlink_to("real")
    plan = pod(container(mount("e", "/a", "inner")), e=EmptyDir())
    assert host(shown(rig, plan)["/a"]) == folder / "real"
    text = 'failed to prepare subPath for volumeMount "e" of container "c"'
    for target in ("../other", str(rig.folder), "/", ".."):
        (folder / "inner").unlink()
        (folder / "inner").symlink_to(target)
        with pytest.raises(ContainerMountError) as refused:
            rig.volumes.preopens(plan, plan.containers[0], 1)
        assert str(refused.value) == text
    os.mkfifo(folder / "pipe")
    piped = pod(container(mount("e", "/a", "pipe"), name="piped"), e=EmptyDir())
    assert await refusal(rig, piped) == text.replace('"c"', '"piped"')


async def test_sub_path_is_not_made_through_a_symlink_that_leads_out(
    rig: VolumeRig, tmp_path: Path
) -> None:
    plan = pod(container(mount("e", "/a", "trap/new")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "trap").symlink_to("../" * 9 + str(tmp_path).lstrip("/"))
    text = 'failed to prepare subPath for volumeMount "e" of container "c"'
    assert await refusal(rig, plan) == text
    assert not (tmp_path / "new").exists()


async def test_writable_file_is_the_volumes_own(rig: VolumeRig) -> None:
    plan = pod(container(mount("e", "/var/state", "f")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "f").write_text("before")
    (host(shown(rig, plan)["/var"]) / "state").write_text("written")
    assert (rig.empty_dir_of("e") / "f").read_text() == "written"


async def test_file_on_another_file_system_is_copied_to_be_read_and_refused_to_be_written(
    tmp_path: Path, shm: Path
) -> None:
    rig = volume_rig(tmp_path, allowed_prefixes=[shm])
    (shm / "f").write_text("there")
    source = HostPath(path=str(shm / "f"), path_type="File")
    plan = pod(container(mount("h", "/etc/f", read_only=True)), h=source)
    await rig.volumes.prepare(plan)
    assert (host(shown(rig, plan)["/etc"]) / "f").read_text() == "there"
    writable = pod(container(mount("h", "/etc/f"), name="w"), h=source)
    assert "readOnly only" in await refusal(rig, writable)


CANNOT: dict[str, tuple[Mount, ...]] = {
    "where another volume is mounted": (mount("e", "/etc"), mount("f", "/etc/x", "a")),
    "must all be readOnly or none": (mount("f", "/etc/x", "a"), mount("e", "/etc/y", "file")),
    'cannot find volume "none" to mount into container "c"': (mount("none", "/x"),),
}


@pytest.mark.parametrize("text", CANNOT)
async def test_what_only_a_mount_could_show_is_refused_and_said(rig: VolumeRig, text: str) -> None:
    await rig.volumes.prepare(pod(container(), e=EmptyDir()))
    (rig.empty_dir_of("e") / "file").write_text("x")
    plan = pod(container(*CANNOT[text]), e=EmptyDir(), f=rig.blobs.files(a=b"1"))
    assert text in await refusal(rig, plan)


async def test_refused_run_is_made_when_its_mounts_can_be(rig: VolumeRig) -> None:
    plan = pod(container(mount("e", "/a", "x/y")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "x").write_text("in the way")
    assert "subPath" in await refusal(rig, plan)
    (rig.empty_dir_of("e") / "x").unlink()
    assert host(shown(rig, plan)["/a"]).is_dir()


async def test_mount_hides_the_termination_message_and_gives_its_folder(
    rig: VolumeRig, tmp_path: Path
) -> None:
    words = Preopen(host_path=str(tmp_path), guest_path="/dev")
    plan = pod(container(mount("e", "/dev")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    assert host(shown(rig, plan, 0, words)["/dev"]) == rig.empty_dir_of("e")
    with rig.volumes.writable_folder(UID, plan.containers[0], 0, "/dev") as folder:
        assert folder is not None
        (here(folder) / "termination-log").write_text("said")
    assert (rig.empty_dir_of("e") / "termination-log").read_text() == "said"
    for path, run in (("/", 0), ("/dev/x", 0), ("/dev", 7)):
        with rig.volumes.writable_folder(UID, plan.containers[0], run, path) as folder:
            assert folder is None


async def test_termination_message_at_the_root_stays_the_root(
    rig: VolumeRig, tmp_path: Path
) -> None:
    words = Preopen(host_path=str(tmp_path), guest_path="/")
    plan = pod(container(mount("e", "/data")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    assert shown(rig, plan, 0, words)["/"] == words
    assert (tmp_path / "data").is_dir()
    at_root = pod(container(mount("e", "/"), name="r"), e=EmptyDir())
    assert host(shown(rig, at_root, 0, words)["/"]) == rig.empty_dir_of("e")


async def test_memory_lies_on_the_run_directory(rig: VolumeRig) -> None:
    plan = pod(container(mount("m", "/m")), m=EmptyDir(memory=True))
    await rig.volumes.prepare(plan)
    assert host(shown(rig, plan)["/m"]).is_relative_to(rig.memory)


async def test_empty_dir_keeps_its_content_over_prepares_and_goes_with_the_pod(
    rig: VolumeRig,
) -> None:
    plan = pod(container(mount("e", "/e")), e=EmptyDir(), m=EmptyDir(memory=True))
    await rig.volumes.prepare(plan)
    shown(rig, plan)
    (rig.empty_dir_of("e") / "f").write_text("kept")
    await rig.volumes.prepare(plan)
    assert (rig.empty_dir_of("e") / "f").read_text() == "kept"
    await rig.volumes.drop(UID)
    for place in (rig.disk, rig.memory):
        assert list((place / "pods").iterdir()) == []
        assert list((place / ".removed").iterdir()) == []


async def test_removal_of_what_a_hostile_guest_left_touches_nothing_else(
    rig: VolumeRig, tmp_path: Path
) -> None:
    plan = pod(container(mount("e", "/e")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    folder, outside = rig.empty_dir_of("e"), tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (folder / "out").symlink_to(outside)
    (folder / "way").mkdir()
    (folder / "way" / "up").symlink_to("../" * 9)
    (rig.folder / "run" / "executor").write_text("alive")
    (folder / "linked").hardlink_to(rig.folder / "run" / "executor")
    nested = open_beneath(str(folder), ["/".join(["n" * 40] * 200)], create_mode=0o755)
    os.close(nested)
    await rig.volumes.drop(UID)
    assert (outside / "kept").is_dir()
    assert (rig.folder / "run" / "executor").read_text() == "alive"
    assert [list((rig.disk / each).iterdir()) for each in ("pods", ".removed")] == [[], []]
