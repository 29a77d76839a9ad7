"""The `node` profile: guests in a file system of their own, and an executor that may not mount."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from forks import in_a_fork
from keeper_rig import Compiler, Supervisor, launch_keeper

from wasm_executor.container.ownroot import why_not
from wasm_executor.container.plan import Preopen
from wasm_executor.keeper.linux import drop_capabilities
from wasm_executor.keeper.spawning import ENVIRONMENT

may_mount = pytest.mark.skipif(why_not() is not None, reason="needs the right to mount")


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("aot"))


@pytest.fixture
async def supervisor(tmp_path: Path, compiler: Compiler) -> AsyncIterator[Supervisor]:
    keeper = launch_keeper(tmp_path, compiler, WASMLET_PRIVILEGE_PROFILE="node")
    async with keeper.supervise() as supervisor:
        yield supervisor
    keeper.end()


@may_mount
async def test_guest_reads_and_changes_its_volumes_as_in_the_other_profile(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    read, write = tmp_path / "read", tmp_path / "volume" / "write"
    for folder in (read, write):
        (folder / "sub").mkdir(parents=True)
        (folder / "file").write_text("content")
    preopens = (
        Preopen(host_path=str(read), guest_path="/r", read_only=True),
        Preopen(host_path=str(write.parent), guest_path="/w", beneath=("write", ".")),
    )
    for name, arguments in {
        "does": ("/w", "x", "file", "other"),
        "reads": ("/r", "r", "file"),
    }.items():
        plan = supervisor.plan("volumes", *arguments, preopens=preopens)
        container = await supervisor.spawn(supervisor.spec(name), plan)
        assert (await supervisor.next_exit()).code == 0
        said = "00 " * 13 if name == "does" else "content"
        assert container.content("stdout") == said
    assert (read / "file").read_text() == "content"


@may_mount
async def test_volume_that_is_swapped_for_a_symlink_leads_nowhere_else(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "sub").symlink_to("../data")
    trap = Preopen(host_path=str(volume), guest_path="/w", beneath=("sub",))
    with pytest.raises(Exception, match="the folder for /w cannot be opened"):
        await supervisor.spawn(supervisor.spec("trap"), supervisor.plan("hello", preopens=(trap,)))


def test_executor_that_may_not_mount_ends_with_one_line(tmp_path: Path) -> None:
    def without_the_right() -> None:
        drop_capabilities()
        environ = ENVIRONMENT | {
            "WASMLET_DATA_DIR": str(tmp_path / "data"),
            "WASMLET_RUN_DIR": str(tmp_path / "run"),
            "WASMLET_PRIVILEGE_PROFILE": "node",
        }
        command = (sys.executable, "-m", "wasm_executor")
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert ended.stderr == (
            "wasm-executor: the privilege profile node needs the right to mount (CAP_SYS_ADMIN, "
            "Linux 5.12 or newer): Operation not permitted\n"
        )
        assert not (tmp_path / "data").exists()

    in_a_fork(without_the_right)
