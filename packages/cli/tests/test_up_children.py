"""Services as children: restarted when they die, ended with their parent, folders kept apart."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.ids import NodeName
from wasmlet.errors import CommandLineError
from wasmlet.up.arguments import UpOptions
from wasmlet.up.child import Child, ChildCommand
from wasmlet.up.folders import prepared

SLEEPER = "import os, time\nprint('here', os.getpid(), flush=True)\ntime.sleep(600)\n"


def child(folder: Path, program: str, lines: list[str]) -> Child:
    (folder / "program.py").write_text(program)
    command = ChildCommand(name="sample", module="program", settings={"A": "1"}, stop_timeout_s=0.5)
    return Child(command, {**os.environ, "PYTHONPATH": str(folder)}, lines.append)


async def until_lines(lines: list[str], start: str, count: int) -> None:
    async with asyncio.timeout(20):
        while sum(line.startswith(start) for line in lines) < count:
            await asyncio.sleep(0.01)


async def test_a_child_that_dies_is_started_again_until_stopped(tmp_path: Path) -> None:
    lines: list[str] = []
    sample = child(tmp_path, SLEEPER, lines)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(sample.run())
        await until_lines(lines, "here", 1)
        assert sample.pid is not None
        os.kill(sample.pid, signal.SIGKILL)
        await until_lines(lines, "here", 2)
        await sample.stop()
        await asyncio.wait_for(run, 5)
    assert any("ended with -9; starting it again in 0.5 s" in line for line in lines)


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    lines: list[str] = []
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    sample = child(tmp_path, deaf, lines)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(sample.run())
        await until_lines(lines, "here", 1)
        await sample.stop()
        await asyncio.wait_for(run, 5)
    assert "sample did not end in time; killing it" in lines


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SLEEPER)
    parent = (
        "import asyncio, os\n"
        "from wasmlet.up.child import Child, ChildCommand\n"
        "command = ChildCommand(name='s', module='program', settings={})\n"
        "asyncio.run(Child(command, os.environ, lambda line: print(line, flush=True)).run())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[1])
        process.kill()
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            if "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1]:
                return
        pytest.fail("the child outlived its parent")


def test_one_data_folder_serves_one_up_and_secrets_go_away(tmp_path: Path) -> None:
    options = UpOptions(nodes=(), manifests=tmp_path, data_dir=tmp_path / "data")  # no node needed
    with prepared(options) as folders:
        assert folders.run.stat().st_mode & 0o777 == 0o700
        with pytest.raises(CommandLineError, match="another `wasmlet up` uses"), prepared(options):
            pass
    assert not folders.run.exists()
    assert folders.data.exists()


def test_a_data_folder_that_cannot_be_made_is_named_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options = UpOptions(nodes=(), manifests=tmp_path, data_dir=tmp_path / "file" / "data")
    with pytest.raises(CommandLineError, match=r"cannot use .*/file.*: Not a directory"):
        prepared(options).__enter__()


def test_a_foreign_folder_on_tmpfs_is_refused(tmp_path: Path) -> None:
    options = UpOptions(nodes=(), manifests=tmp_path, data_dir=tmp_path / "data")
    with prepared(options) as folders:
        run = folders.run
    run.mkdir(mode=0o755)
    try:
        with pytest.raises(CommandLineError, match="not a private folder"), prepared(options):
            pass
    finally:
        run.rmdir()


def test_what_a_killed_up_left_is_not_taken_over_by_a_data_folder_that_is_new(
    tmp_path: Path,
) -> None:
    """Its pods would count as ended before they began."""
    options = UpOptions(nodes=(NodeName("n"),), data_dir=tmp_path / "data")
    with prepared(options) as folders:
        run = folders.run
    plan = run / "nodes" / "n" / "plan"
    plan.parent.mkdir(mode=0o700, parents=True)
    run.chmod(0o700)
    plan.touch()
    with prepared(options):
        assert plan.exists()  # the data folder is the same
    plan.parent.mkdir(mode=0o700, parents=True)
    run.chmod(0o700)
    plan.touch()
    shutil.rmtree(tmp_path / "data")
    with prepared(options):
        assert not plan.exists()
