"""An image's `/etc` beside the pod's files: each is seen, the pod's word goes before."""

from pathlib import Path

import msgspec
import pytest
from volume_rig import UID, container, mount, pod, volume_rig

from contract.messages.naming import Naming
from contract.messages.volume import EmptyDir
from wasm_executor.container.plan import Preopen
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.pods.lastwords import LastWords
from wasm_executor.supervisor.pods.worlds import Worlds
from wasm_executor.volumes.etcfiles import ETC, EtcFiles
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.imageetc import ImageEtc


@pytest.fixture
def rootfs(tmp_path: Path) -> str:
    """An image's files, as they were unpacked."""
    etc = tmp_path / "image-1" / "etc"
    (etc / "ssl").mkdir(parents=True)
    (etc / "ssl" / "ca.pem").write_text("certificate")
    (etc / "tool.conf").write_text("of the image")
    (etc / "hostname").write_text("of the image")
    (etc / "link").symlink_to("ssl/ca.pem")
    return str(etc.parent)


@pytest.fixture
def own(tmp_path: Path) -> Preopen:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("hosts", "hostname", "resolv.conf"):
        (folder / name).write_text("of the pod")
    return Preopen(host_path=str(folder), guest_path=ETC, read_only=True)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "data", tmp_path / "run")


def contents(folder: str) -> dict[str, str]:
    files = (each for each in sorted(Path(folder).rglob("*")) if each.is_file())
    return {str(each.relative_to(folder)): each.read_text() for each in files}


def names(folder: str) -> list[str]:
    return [each.name for each in Path(folder).iterdir()]


BOTH = {
    "hostname": "of the pod",
    "hosts": "of the pod",
    "link": "certificate",
    "resolv.conf": "of the pod",
    "ssl/ca.pem": "certificate",
    "tool.conf": "of the image",
}


def test_both_are_seen_and_the_image_stays_as_it_is(
    rootfs: str, own: Preopen, folders: Folders
) -> None:
    plan, etc = pod(container()), ImageEtc(folders)
    assert etc.instead(plan, rootfs, own) == own
    etc.make(plan, rootfs, own)
    etc.make(plan, rootfs, own)
    shown = etc.instead(plan, rootfs, own)
    assert (shown.guest_path, shown.read_only) == (ETC, True)
    assert contents(shown.host_path) == BOTH
    assert contents(f"{rootfs}/etc")["hostname"] == "of the image"
    assert contents(own.host_path)["hostname"] == "of the pod"
    assert Path(shown.host_path).is_relative_to(folders.pod(UID)[0])


def test_an_image_without_etc_leaves_the_pods_alone(
    tmp_path: Path, own: Preopen, folders: Folders
) -> None:
    (tmp_path / "bare" / "etc").mkdir(parents=True)
    plan, etc, bare = pod(container()), ImageEtc(folders), str(tmp_path / "bare")
    etc.make(plan, bare, own)
    assert etc.instead(plan, bare, own) == own


async def test_a_run_and_its_execs_see_the_image_with_the_pods_etc(
    rootfs: str, folders: Folders, tmp_path: Path
) -> None:
    settings = ExecutorSettings(node_name="n", data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    volumes = volume_rig(tmp_path).volumes
    (tmp_path / "resolv.conf").write_text("")
    etc_files = EtcFiles(folders, tmp_path / "resolv.conf")
    worlds = Worlds(LastWords(settings, volumes), volumes, etc_files, ImageEtc(folders))
    plan = msgspec.structs.replace(pod(container()), naming=Naming(hostname="web-0"))
    world = await worlds.make(plan, plan.containers[0], 0, rootfs)
    seen = {each.guest_path: each for each in world.preopens}
    assert seen["/"] == Preopen(host_path=rootfs, guest_path="/", read_only=True)
    found = contents(seen[ETC].host_path)
    assert (found["hostname"], found["tool.conf"]) == ("web-0\n", "of the image")
    assert worlds.find(plan, plan.containers[0], 0, rootfs).preopens == world.preopens
    other = await worlds.make(plan, plan.containers[0], 1)
    assert "/" not in {each.guest_path for each in other.preopens}


async def test_a_mount_below_etc_lies_beside_all_of_it(
    rootfs: str, own: Preopen, folders: Folders, tmp_path: Path
) -> None:
    rig = volume_rig(tmp_path)
    plan = pod(container(mount("e", "/etc/app")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    etc = ImageEtc(folders)
    etc.make(plan, rootfs, own)
    shown = etc.instead(plan, rootfs, own)
    made = rig.volumes.preopens(plan, plan.containers[0], 0, [shown])
    seen = {each.guest_path: each.host_path for each in made}
    assert contents(seen[ETC]) == BOTH
    assert "app" in names(seen[ETC])
