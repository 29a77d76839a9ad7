"""A container's mounts, as its handlers have them."""

from pathlib import Path

import pytest
from http_rig import serving
from keeper_rig import KeeperProcess

from wasm_executor.container.plan import Preopen
from wasm_executor.runtimes.wasihttp.files import Descriptor, folders_of

READ = frozenset({"read"})
WRITE = frozenset({"read", "write"})
NEW = frozenset({"create"})
NOTHING: frozenset[str] = frozenset()
REFUSED = "leads out|is absolute"


async def test_a_handler_reads_what_is_mounted_and_nothing_beside_it(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "key").write_text("value")
    (folder / "link").symlink_to("key")
    (folder / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("not yours")
    mount = Preopen(host_path=str(folder), guest_path="/data", read_only=True)
    async with (
        keeper.supervise() as supervisor,
        serving(supervisor, preopens=(mount,)) as served,
    ):
        assert served.get("/read/key").body == b"value"
        assert served.get("/read/link").body == b"value"
        for path in ("none", "out", "../secret", "key/../../secret"):
            assert served.get(f"/read/{path}").status == 502, path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path, *, read_only: bool) -> Descriptor:
    mount = Preopen(host_path=str(folder), guest_path="/", read_only=read_only)
    ((descriptor, name),) = folders_of((mount,))
    assert name == "/"
    return descriptor


def test_a_writable_folder_takes_new_files_and_a_read_only_one_takes_none(folder: Path) -> None:
    made = opened(folder, read_only=False).open("new", follow=True, making=NEW, wanted=WRITE)
    assert made.writable
    made.drop()
    made.drop()  # a second time is nothing
    assert (folder / "new").exists()
    closed = opened(folder, read_only=True)
    assert closed.open("new", follow=True, making=NOTHING, wanted=READ).stat().st_size == 0
    for making, wanted in ((NEW, READ), (NOTHING, WRITE), (frozenset({"truncate"}), READ)):
        with pytest.raises(OSError, match="Read-only"):
            closed.open("new", follow=True, making=making, wanted=wanted)
    with pytest.raises(OSError, match="Read-only"):
        closed.changeable_parent_of("new")


def test_a_path_does_not_leave_its_folder(folder: Path) -> None:
    (folder / "up").symlink_to("..")
    descriptor = opened(folder, read_only=False)
    for path in ("..", "../x", "up", "up/x", "/etc"):
        with pytest.raises(OSError, match=REFUSED):
            descriptor.open(path, follow=True, making=NOTHING, wanted=READ)
        with pytest.raises(OSError, match=REFUSED):
            descriptor.open(f"{path}/new", follow=True, making=NEW, wanted=WRITE)
