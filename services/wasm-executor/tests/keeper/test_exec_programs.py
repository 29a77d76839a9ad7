"""Which command there is in a container: its own module, the toolbox's tools, no other program."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from exec_rig import C, ExecRig, exec_rig
from keeper_rig import DEADLINE_S, KeeperProcess
from msgspec.structs import replace
from wasmtime import wat2wasm

from contract.messages.pod import ContainerPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.images.puller import ImageService
from wasm_executor.images.records import ArtifactFacts, ArtifactKind, PreparedImage, World
from wasm_executor.images.settings import ImageSettings
from wasm_executor.supervisor.execs.modulefiles import ModuleFiles, open_within
from wasm_executor.supervisor.execs.programs import Program, ProgramNotFoundError, find_program
from wasm_executor.supervisor.execs.toolbox import Toolbox

GUESTS = Path(__file__).parents[1] / "support" / "guests"
TOOLS = '(export "tool:env" (func $start)) (export "tool:[" (func $start))'
IMAGE = PreparedImage(
    image="own",
    image_id="own",
    manifest_digest="",
    layer_digest="",
    aot_path=Path("own"),
    facts=ArtifactFacts(
        kind=ArtifactKind.MODULE, world=World.COMMAND, wasm_bytes=0, object_bytes=0, compile_s=0
    ),
    size_bytes=0,
)


def plan(image: str, *command: str) -> ContainerPlan:
    return ContainerPlan(name=C, image=image, command=command)


def no_images() -> asyncio.Future[ImageService]:
    return asyncio.get_running_loop().create_future()


async def test_a_module_under_a_program_of_the_machine_is_not_run_again() -> None:
    image = msgspec.structs.replace(IMAGE, compiled=False)
    with pytest.raises(ProgramNotFoundError, match="once for a container"):
        find_program(plan("hello"), image, ["hello"], Toolbox(None, no_images()))


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        (plan("registry.example:5000/team/hello:1.2"), "hello"),
        (plan("hello@sha256:0000"), "/usr/bin/hello"),
        (plan("file:/srv/guests/hello.wasm"), "hello.wasm"),
        (plan("hello", "/app/server", "--port"), "/app/server"),
        (plan("hello", "/app/server"), "server"),
        (plan("hello", "/app/server"), "/other/hello"),
    ],
)
async def test_containers_own_module_is_named_by_image_or_command(
    container: ContainerPlan, wanted: str
) -> None:
    found = find_program(container, IMAGE, [wanted, "-v"], Toolbox(None, no_images()))
    assert found == Program(IMAGE, (wanted, "-v"), is_own=True)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["sh", "-c"], 'exec: "sh": executable file not found in $PATH'),
        ([""], 'exec: "": executable file not found in $PATH'),
        (["--port"], 'exec: "--port": executable file not found in $PATH'),
        (["/bin/sh"], 'exec: "/bin/sh": stat /bin/sh: no such file or directory'),
        (["/data/x.wasm"], 'exec: "/data/x.wasm": stat /data/x.wasm: no such file or directory'),
        (["server/"], 'exec: "server/": stat server/: no such file or directory'),
        ([], "you must specify at least one command for the container"),
    ],
)
async def test_everything_else_is_not_found_in_the_words_of_other_runtimes(
    wanted: list[str], said: str
) -> None:
    container = plan("hello", "/app/server", "--port")
    with pytest.raises(ProgramNotFoundError) as refused:
        find_program(container, IMAGE, wanted, Toolbox(None, no_images()))
    assert refused.value.message == said


class ToolboxFile:
    """A module with two tools, and a node that was told to have it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "toolbox.wat"
        self._settings = ImageSettings(root=folder / "images", local_folders=(folder,))

    def write(self) -> None:
        text = (GUESTS / "environ.wat").read_text()
        text = text.replace('(func (export "_start")', '(func $start (export "_start")')
        self._file.write_text(f"{text.rstrip().removesuffix(')')}{TOOLS})")

    async def prepared(self, tasks: asyncio.TaskGroup) -> Toolbox:
        toolbox, preparing = self.start(tasks)
        await asyncio.wait_for(preparing, DEADLINE_S)
        return toolbox

    def start(self, tasks: asyncio.TaskGroup) -> tuple[Toolbox, asyncio.Task[None]]:
        images = tasks.create_task(ImageService.open(self._settings, tasks))
        toolbox = Toolbox(f"file:{self._file}", images)
        return toolbox, tasks.create_task(toolbox.prepare(retry_s=0.02))


@pytest.fixture
def toolbox_file(tmp_path: Path) -> ToolboxFile:
    return ToolboxFile(tmp_path)


@pytest.fixture
async def rig(keeper: KeeperProcess) -> AsyncIterator[ExecRig]:
    async with keeper.supervise() as supervisor, exec_rig(keeper, supervisor) as rig:
        yield rig


async def test_tool_runs_in_the_containers_world_by_its_base_name(
    rig: ExecRig, toolbox_file: ToolboxFile
) -> None:
    toolbox_file.write()
    target = rig.target("sleep", env=(("A", "b"),))
    async with asyncio.TaskGroup() as tasks:
        rig.execs._programs._toolbox = await toolbox_file.prepared(tasks)
        for command in (["env", "-0"], ["/usr/bin/env", "-0"]):
            result = await rig.execs.output_of(target, command, DEADLINE_S)
            assert result.outcome.failure is None
            assert result.output == b"env\0-0\0A=b\0"


async def test_pods_own_toolbox_counts_instead_of_the_nodes(
    rig: ExecRig, toolbox_file: ToolboxFile
) -> None:
    async with asyncio.TaskGroup() as tasks:
        toolbox, preparing = toolbox_file.start(tasks)
        rig.execs._programs._toolbox = Toolbox("file:/not/there", toolbox._images)
        plain = rig.target("sleep")
        target = plain._replace(plan=replace(plain.plan, toolbox=toolbox._image or ""))
        outcome = (await rig.execs.output_of(target, ["env"], DEADLINE_S)).outcome
        assert outcome.exit_code == 126
        assert "no such file" in (outcome.failure or "")
        toolbox_file.write()
        result = await rig.execs.output_of(target, ["/bin/env"], DEADLINE_S)
        assert (result.outcome.failure, result.output) == (None, b"env\0")
        for of, command in ((target, "wget"), (plain, "env")):
            outcome = (await rig.execs.output_of(of, [command], DEADLINE_S)).outcome
            assert outcome.exit_code == 127
        await asyncio.wait_for(preparing, DEADLINE_S)


async def test_containers_own_module_comes_before_a_tool_and_others_are_not_there(
    toolbox_file: ToolboxFile,
) -> None:
    toolbox_file.write()
    async with asyncio.TaskGroup() as tasks:
        toolbox = await toolbox_file.prepared(tasks)
    assert find_program(plan("env"), IMAGE, ["env"], toolbox).is_own
    assert not find_program(plan("x"), IMAGE, ["["], toolbox).is_own
    for command in ("wget", "/data/env", "./env", "tool:env", ""):
        with pytest.raises(ProgramNotFoundError):
            find_program(plan("x"), IMAGE, [command], toolbox)


async def test_toolbox_that_is_not_there_yet_is_tried_again_and_told(
    toolbox_file: ToolboxFile,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        toolbox, preparing = toolbox_file.start(tasks)
        async with asyncio.timeout(DEADLINE_S):
            while "no such file" not in (told := _refusal(toolbox)):
                await asyncio.sleep(0.01)
        assert told.startswith('exec: "env": the toolbox file:/')
        toolbox_file.write()
        await asyncio.wait_for(preparing, DEADLINE_S)
    assert not find_program(plan("x"), IMAGE, ["env"], toolbox).is_own


def put(file: Path, guest: str | None) -> None:
    """Make a file of a guest, or of something else."""
    text = (GUESTS / f"{guest}.wat").read_text() if guest else ""
    file.write_bytes(wat2wasm(text) if text else b"no module")


@pytest.fixture
async def images(tmp_path: Path) -> AsyncIterator[asyncio.Future[ImageService]]:
    async with asyncio.TaskGroup() as tasks:
        settings = ImageSettings(root=tmp_path / "images")
        yield tasks.create_task(ImageService.open(settings, tasks))


async def test_module_in_the_containers_files_runs_as_what_it_is_at_the_moment(
    rig: ExecRig, images: asyncio.Future[ImageService]
) -> None:
    rig.execs._programs._files = ModuleFiles(images)
    target = rig.target("sleep", env=(("A", "b"),))
    await rig.start(target)
    words = rig.last_words.preopens(target.plan.uid, target.container, target.run)[0]
    file = Path(words.host_path, "tool.wasm")
    put(file, "environ")
    command = [f"{words.guest_path}/tool.wasm", "-v"]
    result = await rig.execs.output_of(target, command, DEADLINE_S)
    assert result.outcome.failure is None
    assert result.output == f"{command[0]}\0-v\0A=b\0".encode()
    put(file, "hello")
    result = await rig.execs.output_of(target, command, DEADLINE_S)
    assert (result.outcome.exit_code, result.output) == (3, b"hello\nworld\noh\n")
    put(file, None)
    outcome = (await rig.execs.output_of(target, command, DEADLINE_S)).outcome
    assert outcome.exit_code == 126
    assert "not WebAssembly" in (outcome.failure or "")
    await asyncio.to_thread(file.unlink)
    outcome = (await rig.execs.output_of(target, command, DEADLINE_S)).outcome
    assert (outcome.exit_code, outcome.failure) == (
        127,
        f'exec: "{command[0]}": stat {command[0]}: no such file or directory',
    )


async def test_run_that_ends_while_its_command_is_compiled_kills_that(
    rig: ExecRig, images: asyncio.Future[ImageService]
) -> None:
    never: asyncio.Future[ImageService] = asyncio.get_running_loop().create_future()
    rig.execs._programs._files = ModuleFiles(never)
    target = rig.target("sleep")
    await rig.start(target)
    words = rig.last_words.preopens(target.plan.uid, target.container, target.run)[0]
    put(Path(words.host_path, "tool.wasm"), "hello")
    command = [f"{words.guest_path}/tool.wasm"]
    running = asyncio.create_task(rig.execs.output_of(target, command, DEADLINE_S))
    async with asyncio.timeout(DEADLINE_S):
        while not rig.execs._looking:
            await asyncio.sleep(0.005)
    rig.execs.end_all(target.plan.uid, C)
    never.set_result(await images)
    result = await running
    assert (result.outcome.exit_code, result.output) == (137, b"")


def test_only_what_the_container_sees_is_found(tmp_path: Path) -> None:
    shown, outside = tmp_path / "shown", tmp_path / "outside"
    for folder in (shown / "sub", outside):
        folder.mkdir(parents=True)
    (shown / "sub" / "m.wasm").touch()
    (outside / "m.wasm").touch()
    (shown / "link.wasm").symlink_to(outside / "m.wasm")
    (shown / "up.wasm").symlink_to("../outside/m.wasm")
    (shown / "inner.wasm").symlink_to("sub/m.wasm")
    (shown / "folder.wasm").mkdir()
    preopens = [
        Preopen(host_path=str(shown), guest_path="/data"),
        Preopen(host_path=str(shown), guest_path="/part", beneath=("sub",)),
    ]
    found = {}
    for path in (
        *("/data/sub/m.wasm", "data/sub/m.wasm", "/data/../data/inner.wasm", "/part/m.wasm"),
        *("/data/link.wasm", "/data/up.wasm", "/data/../outside/m.wasm", "/data/folder.wasm"),
        *(str(outside / "m.wasm"), "/database/m.wasm", "/data/nope.wasm", "/data/\0.wasm"),
    ):
        descriptor = open_within(preopens, path)
        if descriptor is not None:
            found[path] = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            os.close(descriptor)
    inner = str(shown / "sub" / "m.wasm")
    assert found == dict.fromkeys(
        ("/data/sub/m.wasm", "data/sub/m.wasm", "/data/../data/inner.wasm", "/part/m.wasm"), inner
    )


def _refusal(toolbox: Toolbox) -> str:
    with pytest.raises(ProgramNotFoundError) as refused:
        find_program(plan("x"), IMAGE, ["env"], toolbox)
    return refused.value.message
