"""Guests of several languages write their termination message where Kubernetes says it is."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from exec_rig import ExecRig, exec_rig
from keeper_rig import DEADLINE_S, GUESTS, Compiler, KeeperProcess

SOURCES = GUESTS[0]
PATHS = ["/dev/termination-log", "/var/log/app/end", "/log"]


@pytest.fixture
async def rig(keeper: KeeperProcess) -> AsyncIterator[ExecRig]:
    async with keeper.supervise() as supervisor, exec_rig(keeper, supervisor) as rig:
        yield rig


@pytest.fixture(scope="session")
def guest_in_c(compiler: Compiler, tmp_path_factory: pytest.TempPathFactory) -> str:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no ziglang: `make test-slow` brings it")
    made = tmp_path_factory.mktemp("c") / "last_words.wasm"
    source = SOURCES / "last_words.c"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-Os", "-s"]
    return built(compiler, [*zig, "-o", str(made), str(source)], made, "last_words_c")


@pytest.fixture(scope="session")
def guest_in_go(compiler: Compiler, tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("go") is None:
        pytest.skip("there is no Go")
    made = tmp_path_factory.mktemp("go") / "last_words.wasm"
    go = ["env", "GOOS=wasip1", "GOARCH=wasm", "go", "build", "-o", str(made)]
    return built(compiler, [*go, str(SOURCES / "last_words.go")], made, "last_words_go")


def built(compiler: Compiler, command: list[str], made: Path, name: str) -> str:
    subprocess.run(command, check=True, cwd=made.parent)
    compiler.add(name, made.read_bytes())
    return name


async def said_by(rig: ExecRig, guest: str, message_path: str, *args: str) -> tuple[int, str]:
    """Run a guest to its end; return its code and its last words."""
    target = rig.target(guest, *args, message_path=message_path)
    container = await rig.start(target)
    exit_ = await rig.supervisor.next_exit()
    said = rig.last_words.read(target.plan, target.container, target.run, exit_.code)
    print(container.content())  # noqa: T201 - shown with a failure
    return exit_.code, said


@pytest.mark.parametrize("path", PATHS)
async def test_file_is_there_before_the_guest_is(rig: ExecRig, path: str) -> None:
    name = Path(path).name
    assert await said_by(rig, "last_words", path, name, "all is lost", "4") == (4, "all is lost")


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
async def test_guest_in_c_writes_by_path(rig: ExecRig, guest_in_c: str, path: str) -> None:
    assert await said_by(rig, guest_in_c, path, path, "all is lost") == (0, "all is lost")


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
async def test_guest_in_go_writes_by_path(rig: ExecRig, guest_in_go: str, path: str) -> None:
    assert await said_by(rig, guest_in_go, path, path, "all is lost") == (0, "all is lost")


@pytest.mark.slow
async def test_guest_leaves_its_folder_by_no_path(rig: ExecRig, guest_in_c: str) -> None:
    for path in ("/dev/../etc/x", "/dev/../../x", "/etc/x", "/x"):
        code, said = await said_by(rig, guest_in_c, "/dev/termination-log", path, "x")
        assert (code, said) == (1, "")


async def test_command_in_its_world_may_write_the_message_too(rig: ExecRig) -> None:
    target = rig.target("last_words", "termination-log", "by the container", "0")
    await rig.start(target)
    assert (await rig.supervisor.next_exit()).code == 0
    command = ["last_words", "termination-log", "by a command itself", "0"]
    result = await rig.execs.output_of(target, command, DEADLINE_S)
    assert result.outcome.exit_code == 0
    said = rig.last_words.read(target.plan, target.container, target.run, 0)
    assert said == "by a command itself"


async def test_container_without_its_folder_runs_without_a_message(rig: ExecRig) -> None:
    target = rig.target("hello", message_path="/dev/" + "x" * 300)
    await rig.start(target)
    assert (await rig.supervisor.next_exit()).code == 3
