"""What guests see of their volumes, and what hostile ones reach: nothing else."""

import importlib.util
import subprocess
import sys

import msgspec
import pytest
from keeper_rig import GUESTS, Compiler, Supervisor, files_below
from volume_rig import VolumeRig, container, mount, pod, ran

from contract.messages.volume import EmptyDir
from wasm_executor.keeper.errors import StartFailedError
from wasm_executor.volumes.errors import ContainerMountError

ROFS = 69
PERM = 63
NO_ENTRY = 44
REFUSED = {2, 8, PERM, ROFS, 76}
"""ACCES, BADF, PERM, ROFS, NOTCAPABLE: whichever wall it is that stands there."""


async def test_guest_reads_files_through_their_symlinks(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    mounts = mount("f", "/etc/app"), mount("f", "/opt/one", "d/x")
    plan = pod(container(*mounts), f=rig.blobs.files(name=b"content", d__x=b"deep"))
    await rig.volumes.prepare(plan)
    assert await ran(supervisor, rig, plan, "/etc/app", "r", "name") == (0, "content")
    assert await ran(supervisor, rig, plan, "/etc/app", "r", "d/x") == (0, "deep")
    assert await ran(supervisor, rig, plan, "/opt", "r", "one") == (0, "deep")


async def test_update_is_seen_by_a_running_guest_and_not_through_sub_path(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    mounts = mount("f", "/etc/app"), mount("f", "/opt/one", "name")
    plan = pod(container(*mounts), f=rig.blobs.files(name=b"1 before"))
    await rig.volumes.prepare(plan)
    preopens = rig.volumes.preopens(plan, plan.containers[0], 0)
    process = supervisor.plan("volumes", "/etc/app", "c", "name", "1")
    process = msgspec.structs.replace(process, preopens=preopens)
    running = await supervisor.spawn(supervisor.spec("waits"), process)
    await rig.volumes.update(pod(container(*mounts), f=rig.blobs.files(name=b"2 after")))
    assert (await supervisor.next_exit()).code == 0
    assert running.content() == "2 after"
    assert await ran(supervisor, rig, plan, "/opt", "r", "one") == (0, "1 before")


async def test_containers_of_a_pod_share_an_empty_dir(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    writes, reads = container(mount("e", "/w")), container(mount("e", "/r"), name="reads")
    plan = pod(writes, reads, e=EmptyDir())
    await rig.volumes.prepare(plan)
    assert await ran(supervisor, rig, plan, "/w", "w", "f", "shared") == (0, "")
    assert await ran(supervisor, rig, plan, "/r", "r", "f", of=1) == (0, "shared")


async def test_writable_volume_lets_the_hostile_guest_do_all_it_tries(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    """Or else the next test would show nothing."""
    plan = pod(container(mount("e", "/v")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "file").write_text("content")
    code, said = await ran(supervisor, rig, plan, "/v", "x", "file", "other")
    assert (code, set(said.split())) == (0, {"00"}), said
    assert len(said.split()) == 13


READ_ONLY = {
    "emptyDir": mount("e", "/v", read_only=True),
    "part": mount("e", "/v", "sub", read_only=True),
    "files": mount("f", "/v"),
    "single file": mount("f", "/v/file", "file"),
    "linked file": mount("e", "/v/file", "file", read_only=True),
}


@pytest.mark.parametrize("kind", READ_ONLY)
async def test_read_only_holds_against_all_that_a_guest_can_try(
    rig: VolumeRig, supervisor: Supervisor, kind: str
) -> None:
    plan = pod(container(READ_ONLY[kind]), e=EmptyDir(), f=rig.blobs.files(file=b"content"))
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "sub").mkdir()
    for folder in (".", "sub"):
        (rig.empty_dir_of("e") / folder / "file").write_text("content")
    rig.volumes.preopens(plan, plan.containers[0], 0)
    before = files_below(rig.folder / "data" / "volumes"), files_below(rig.memory)
    code, said = await ran(supervisor, rig, plan, "/v", "x", "file", "other")
    assert code == 0
    assert len(said.split()) == 13
    assert {int(each) for each in said.split()} <= REFUSED, said
    assert (files_below(rig.folder / "data" / "volumes"), files_below(rig.memory)) == before


@pytest.mark.parametrize("read_only", [(), ("a",), ("b",), ("a", "b")])
async def test_no_file_goes_from_or_to_a_read_only_volume(
    rig: VolumeRig, supervisor: Supervisor, read_only: tuple[str, ...]
) -> None:
    """A link to it in a writable volume would let it be written."""
    mounts = (mount(name, f"/{name}", read_only=name in read_only) for name in "ab")
    plan = pod(container(*mounts), a=EmptyDir(), b=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("a") / "file").write_text("content")
    code, said = await ran(supervisor, rig, plan, "/a", "l", "file", "/b")
    outcome = {int(each) for each in said.split()}
    assert (code, len(said.split())) == (0, 2)
    assert outcome <= REFUSED if read_only else outcome == {0}
    assert (rig.empty_dir_of("a") / "file").exists() is bool(read_only)
    assert [each.name for each in rig.empty_dir_of("b").iterdir()] == [] or not read_only


async def test_symlink_in_a_volume_leads_no_guest_out(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    plan = pod(
        container(mount("e", "/w")),
        container(mount("e", "/r"), name="reads"),
        e=EmptyDir(),
        f=rig.blobs.files(secret=b"the marker"),
    )
    await rig.volumes.prepare(plan)
    folder = rig.empty_dir_of("e")
    secret = rig.files_of("f") / "secret"
    up = "../" * 20 + str(secret).lstrip("/")
    await ran(supervisor, rig, plan, "/w", "s", "link", up)
    if not (folder / "link").is_symlink():  # wasmtime may refuse to make it: so the test does
        (folder / "link").symlink_to(up)
    (folder / "absolute").symlink_to(secret)
    assert (folder / "link").read_text() == "the marker"  # from outside it does lead there
    for path in ("link", "absolute", up, str(secret), "link/", "x/../../f", "link/../secret"):
        code, said = await ran(supervisor, rig, plan, "/r", "r", path, of=1)
        assert code in {NO_ENTRY, PERM, 32, 54}, path
        assert said == ""


async def test_planted_symlink_is_no_way_out_for_who_mounts_it_by_sub_path(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    plants, mounts = container(mount("e", "/w")), container(mount("e", "/v", "part"), name="mounts")
    plan = pod(plants, mounts, e=EmptyDir(), f=rig.blobs.files(secret=b"the marker"))
    await rig.volumes.prepare(plan)
    code, _ = await ran(supervisor, rig, plan, "/w", "s", "part", "../../files/f")
    folder = rig.empty_dir_of("e")
    if code:
        (folder / "part").symlink_to("../../files/f")
    with pytest.raises(ContainerMountError, match="failed to prepare subPath"):
        await ran(supervisor, rig, plan, "/v", "r", "secret", of=1)


async def test_part_that_is_swapped_for_a_symlink_after_the_check_is_not_opened(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    plan = pod(container(mount("e", "/v", "part")), e=EmptyDir())
    await rig.volumes.prepare(plan)
    part = rig.empty_dir_of("e") / "part"
    part.mkdir()
    rig.volumes.preopens(plan, plan.containers[0], 0)
    outside = rig.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the marker")
    for target in (str(outside), "../" * 9 + str(outside).lstrip("/"), "../.."):
        part.rmdir() if part.is_dir() and not part.is_symlink() else part.unlink()
        part.symlink_to(target)
        with pytest.raises(StartFailedError, match="the folder for /v cannot be opened"):
            await ran(supervisor, rig, plan, "/v", "r", "secret")
    part.unlink()
    (rig.empty_dir_of("e") / "inside").mkdir()
    (rig.empty_dir_of("e") / "inside" / "f").write_text("own")
    part.symlink_to("inside")
    assert await ran(supervisor, rig, plan, "/v", "r", "f") == (0, "own")


async def test_folder_over_a_volume_is_found_by_the_longest_path(
    rig: VolumeRig, supervisor: Supervisor
) -> None:
    mounts = mount("e", "/data"), mount("e2", "/data/in")
    plan = pod(container(*mounts), e=EmptyDir(), e2=EmptyDir())
    await rig.volumes.prepare(plan)
    await ran(supervisor, rig, plan, "/data/in", "w", "f", "inner")
    assert (rig.empty_dir_of("e2") / "f").read_text() == "inner"
    assert (await ran(supervisor, rig, plan, "/data", "r", "in/f"))[0] == NO_ENTRY


@pytest.fixture(scope="session")
def guest_in_c(compiler: Compiler, tmp_path_factory: pytest.TempPathFactory) -> str:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no ziglang: `make test-slow` brings it")
    made = tmp_path_factory.mktemp("c") / "show_path.wasm"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-Os", "-s"]
    source = GUESTS[0] / "show_path.c"
    subprocess.run([*zig, "-o", str(made), str(source)], check=True, cwd=made.parent)
    compiler.add("show_path_c", made.read_bytes())
    return "show_path_c"


@pytest.mark.slow
async def test_guest_in_c_finds_its_mounts_by_path(
    rig: VolumeRig, supervisor: Supervisor, guest_in_c: str
) -> None:
    mounts = (
        mount("f", "/etc/app"),
        mount("f", "/etc/one.conf", "name"),
        mount("e", "/data"),
        mount("m", "/data/in/ner"),
    )
    files = rig.blobs.files(name=b"content", d__x=b"deep")
    plan = pod(container(*mounts), f=files, e=EmptyDir(), m=EmptyDir(memory=True))
    await rig.volumes.prepare(plan)

    async def shows(*arguments: str) -> tuple[int, str]:
        return await ran(supervisor, rig, plan, *arguments, guest=guest_in_c)

    assert await shows("/") == (0, "data\netc\n")
    assert await shows("/etc/app") == (0, version_of(rig) + "\n..data\nd\nname\n")
    assert await shows("/etc/app/name") == (0, "content")
    assert await shows("/etc/app/d/x") == (0, "deep")
    assert await shows("/etc/one.conf") == (0, "content")
    assert await shows("/data/in/ner/f", "in memory") == (0, "")
    assert await shows("/data/in/ner/f") == (0, "in memory")
    assert await shows("/data") == (0, "in\n")
    for path in ("/etc/app/name", "/etc/app/new", "/etc/one.conf", "/new", "/etc/new"):
        code, _ = await shows(path, "changed")
        assert code == 1, path
    for path in ("/etc/passwd", "/data/../etc/passwd", "/proc/self/environ", "/dev/null"):
        code, said = await shows(path)
        assert (code, "root:" in said) == (1, False)


def version_of(rig: VolumeRig) -> str:
    return str((rig.files_of("f") / "..data").readlink())
