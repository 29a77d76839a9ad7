"""A third party's runtime, installed beside the executor, is one like ours."""

import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from keeper_rig import Compiler, KeeperProcess, Supervisor, launch_keeper
from wasmtime import wat2wasm

from wasm_executor.container.plan import ProcessPlan
from wasm_executor.keeper.errors import StartFailedError

ROOT = Path(__file__).parents[4]
PLUGIN = ROOT / "examples" / "runtime-plugin"
ENTRY_POINTS = """
from wasm_executor.supervisor.facts import runtime_names
print(*sorted(runtime_names()))
"""


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has what this one has, and the plugin."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("there is no uv to install the package with: `make setup` brings it")
    venv = tmp_path_factory.mktemp("beside") / "venv"
    python = venv / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    [packages] = venv.glob("lib/python*/site-packages")
    ours = site.getsitepackages()[0]
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), str(PLUGIN)]
    subprocess.run(install, check=True)
    return python


@pytest.fixture
def keeper(
    tmp_path: Path, compiler: Compiler, interpreter: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeeperProcess]:
    monkeypatch.setattr(sys, "executable", str(interpreter))
    keeper = launch_keeper(tmp_path, compiler)
    yield keeper
    keeper.end()


def planned(supervisor: Supervisor, *args: str, runtime: str = "") -> ProcessPlan:
    supervisor.compiler.add("add", bytes(wat2wasm((PLUGIN / "add.wat").read_text())))
    plan = supervisor.plan("add", *args)
    artifact = msgspec.structs.replace(plan.artifact, world="none")
    return msgspec.structs.replace(plan, runtime=runtime, artifact=artifact)


def test_a_node_lists_it(interpreter: Path) -> None:
    said = subprocess.run([interpreter, "-c", ENTRY_POINTS], check=True, capture_output=True)
    assert "invoke" in said.stdout.decode().split()


async def test_it_runs_what_it_accepts_and_what_asks_for_it(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        for runtime in ("", "invoke"):
            plan = planned(supervisor, "add", "2", "3", runtime=runtime)
            container = await supervisor.spawn(supervisor.spec(f"add{runtime}"), plan)
            assert (await supervisor.next_exit()).code == 0
            assert container.content("stdout") == "5\n"


async def test_its_failures_are_told_as_those_of_ours(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        with pytest.raises(StartFailedError, match="no function 'subtract'"):
            await supervisor.spawn(supervisor.spec("missing"), planned(supervisor, "subtract"))
        plan = planned(supervisor, "divide", "1", "0")
        await supervisor.spawn(supervisor.spec("divide"), plan)
        ended = await supervisor.next_exit()
        assert (ended.code, "integer divide by zero" in (ended.trap or "")) == (134, True)
