"""hostPath: only where the operator allows it, and never out of there."""

import os
import socket
from pathlib import Path

import pytest
from volume_rig import VolumeRig, container, mount, pod, volume_rig

from contract.messages.volume import HostPath
from wasm_executor.volumes.errors import ContainerMountError, MountError


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text("content")
    return folder


@pytest.fixture
def open_rig(tmp_path: Path, allowed: Path) -> VolumeRig:
    return volume_rig(tmp_path, allowed_prefixes=[allowed])


async def reason(rig: VolumeRig, path: Path | str, path_type: str = "") -> str:
    """Prepare one; return why not."""
    plan = pod(container(), v=HostPath(path=str(path), path_type=path_type))
    try:
        await rig.volumes.prepare(plan)
    except MountError as error:
        return str(error).removeprefix('MountVolume.SetUp failed for volume "v" : ')
    return ""


async def test_node_that_allows_nothing_says_so(rig: VolumeRig, allowed: Path) -> None:
    assert "allows no hostPath volumes" in await reason(rig, allowed)
    plan = pod(container(mount("v", "/host")), v=HostPath(path=str(allowed)))
    with pytest.raises(ContainerMountError, match="cannot find volume"):
        rig.volumes.preopens(plan, plan.containers[0], 0)


async def test_path_outside_the_allowed_ones_is_refused(open_rig: VolumeRig, allowed: Path) -> None:
    for path in (allowed.parent, f"{allowed}-too", "/", "/etc"):
        assert f"only below {allowed}" in await reason(open_rig, path)
    with_dots = f"{allowed}/../x"
    assert await reason(open_rig, with_dots) == (
        f"invalid HostPath `{with_dots}`: must not contain '..'"
    )


@pytest.mark.parametrize("path_type", ["", "Directory", "DirectoryOrCreate"])
async def test_folder_is_shown_where_it_is(
    open_rig: VolumeRig, allowed: Path, path_type: str
) -> None:
    assert await reason(open_rig, allowed / "folder", path_type) == ""
    assert await reason(open_rig, allowed, path_type) == ""


@pytest.mark.parametrize(
    ("name", "path_type", "text"),
    [
        ("file", "Directory", "is not a directory"),
        ("file", "DirectoryOrCreate", "is not a directory"),
        ("none", "Directory", "is not a directory"),
        ("folder", "File", "is not a file"),
        ("folder", "FileOrCreate", "is not a file"),
        ("none", "File", "is not a file"),
    ],
)
async def test_type_is_checked_in_the_kubelets_words(
    open_rig: VolumeRig, allowed: Path, name: str, path_type: str, text: str
) -> None:
    said = await reason(open_rig, allowed / name, path_type)
    assert said == f"hostPath type check failed: {allowed / name} {text}"
    assert not (allowed / "none").exists()


async def test_what_shall_be_created_is(open_rig: VolumeRig, allowed: Path) -> None:
    assert await reason(open_rig, allowed / "a" / "b", "DirectoryOrCreate") == ""
    assert await reason(open_rig, allowed / "a" / "f", "FileOrCreate") == ""
    assert await reason(open_rig, allowed / "c") == ""
    assert (allowed / "a" / "b").is_dir()
    assert (allowed / "a" / "f").read_text() == ""
    assert (allowed / "c").is_dir()
    assert await reason(open_rig, allowed / "file", "FileOrCreate") == ""
    assert (allowed / "file").read_text() == "content"


@pytest.mark.parametrize("path_type", ["", "Directory", "DirectoryOrCreate", "FileOrCreate"])
async def test_symlink_that_leads_out_is_not_followed(
    open_rig: VolumeRig, allowed: Path, tmp_path: Path, path_type: str
) -> None:
    (tmp_path / "outside").mkdir()
    (allowed / "absolute").symlink_to(tmp_path / "outside")
    (allowed / "relative").symlink_to("../outside")
    for name in ("absolute", "relative", "absolute/new", "relative/new"):
        said = await reason(open_rig, allowed / name, path_type)
        text = f"hostPath {allowed / name}: a symlink on its way leads out of {allowed}"
        assert said == text
    assert list((tmp_path / "outside").iterdir()) == []


async def test_path_that_cannot_be_walked_is_named(open_rig: VolumeRig, allowed: Path) -> None:
    path = allowed / "file" / "below"
    assert await reason(open_rig, path) == f"hostPath {path}: Not a directory"


async def test_symlink_that_stays_inside_is(open_rig: VolumeRig, allowed: Path) -> None:
    (allowed / "inner").symlink_to("folder")
    assert await reason(open_rig, allowed / "inner", "Directory") == ""


async def test_sockets_pipes_and_devices_are_refused(open_rig: VolumeRig, allowed: Path) -> None:
    os.mkfifo(allowed / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(allowed / "socket"))
    for name in ("pipe", "socket"):
        assert "neither a directory nor a file" in await reason(open_rig, allowed / name)
        assert "is not a file" in await reason(open_rig, allowed / name, "File")
    for path_type in ("Socket", "CharDevice", "BlockDevice"):
        assert "neither sockets nor devices" in await reason(open_rig, allowed, path_type)
    assert await reason(open_rig, allowed, "Odd") == "Odd is an invalid volume type"


async def test_dropping_a_pod_leaves_the_host_as_it_is(open_rig: VolumeRig, allowed: Path) -> None:
    plan = pod(
        container(mount("v", "/host"), mount("v", "/one/file", "file", read_only=True)),
        v=HostPath(path=str(allowed)),
    )
    await open_rig.volumes.prepare(plan)
    open_rig.volumes.preopens(plan, plan.containers[0], 0)
    await open_rig.volumes.drop(plan.uid)
    assert (allowed / "file").read_text() == "content"
    assert (allowed / "folder").is_dir()
