"""The `wasi` runtime: how guests end, and what is refused."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from keeper_rig import KeeperProcess

from wasm_executor.container.plan import Preopen
from wasm_executor.keeper.errors import StartFailedError
from wasm_executor.runtimes.engine import engine_fingerprint


def python(program: str) -> str:
    """Run a fresh interpreter: what threads and modules it has is the claim."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("code", [0, 1, 125, 126, 137, 255])
async def test_every_code_of_proc_exit_is_the_containers(keeper: KeeperProcess, code: int) -> None:
    """Wasmtime itself turns 126 and above into a trap."""
    async with keeper.supervise() as supervisor:
        digits = chr(64 + code // 16) + chr(64 + code % 16)
        exit_, _ = await supervisor.run("exit_code", digits)
        assert (exit_.code, exit_.signal, exit_.trap) == (code, None, None)


@pytest.mark.parametrize("read_only", [True, False])
async def test_preopened_folder_has_the_guests_name_and_is_read_only_if_said(
    keeper: KeeperProcess, tmp_path: Path, *, read_only: bool
) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    async with keeper.supervise() as supervisor:
        volume = Preopen(host_path=str(folder), guest_path="/data", read_only=read_only)
        plan = supervisor.plan("prestat", preopens=(volume,))
        container = await supervisor.spawn(supervisor.spec("prestat"), plan)
        exit_ = await supervisor.next_exit()
        assert container.content() == "/data"
        assert (exit_.code == 0) is not read_only
        assert (folder / "made").exists() is not read_only


async def test_folder_that_is_not_there_is_named(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        volume = Preopen(host_path="/does/not/exist", guest_path="/data")
        plan = supervisor.plan("prestat", preopens=(volume,))
        with pytest.raises(StartFailedError, match="/data"):
            await supervisor.spawn(supervisor.spec("prestat"), plan)


async def test_guest_whose_first_memory_is_above_the_limit_does_not_start(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        plan = supervisor.plan("environ", memory_limit_bytes=64 * 1024)
        with pytest.raises(StartFailedError, match="exceeds memory limits"):
            await supervisor.spawn(supervisor.spec("environ"), plan)


async def test_unknown_runtime_is_named_beside_the_known_ones(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        plan = msgspec.structs.replace(supervisor.plan("hello"), runtime="spin")
        with pytest.raises(StartFailedError, match=r"'spin'.*wasi"):
            await supervisor.spawn(supervisor.spec("hello"), plan)


def test_preparing_starts_no_thread() -> None:
    """What starts before a fork is dead after it."""
    program = """
import os
from wasm_executor.runtimes.registry import load_runtimes
print(sorted(load_runtimes()), len(os.listdir("/proc/self/task")))
"""
    assert python(program) == "['external', 'wagi', 'wasi', 'wasi-http'] 1\n"


def test_reading_entry_points_leaves_nothing_in_the_zygote() -> None:
    program = """
import sys
from wasm_executor.runtimes.registry import load_runtimes
load_runtimes()
print([name for name in ("importlib.metadata", "random", "asyncio") if name in sys.modules])
"""
    assert python(program) == "[]\n"


def test_fingerprint_names_version_and_settings_for_a_file() -> None:
    fingerprint = engine_fingerprint()
    assert (
        fingerprint
        == python(
            "from wasm_executor.runtimes.engine import *; print(engine_fingerprint())"
        ).strip()
    )
    assert fingerprint.startswith("wasmtime-")
    assert "/" not in fingerprint
    changed = """
from wasm_executor.runtimes import engine
engine.SETTINGS["consume_fuel"] = True
print(engine.engine_fingerprint())
"""
    assert python(changed).strip() != fingerprint
