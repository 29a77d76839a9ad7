"""A native program in the guest's place reaches what docs/security.md lists, and nothing else."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from breakout_tries import Targets
from breakout_zygote import Found
from keeper_rig import Compiler, KeeperProcess, Supervisor, launch_keeper, status_field

from wasm_executor.container.landlock import LEAST_ABI, landlock_abi
from wasm_executor.container.ownroot import why_not
from wasm_executor.container.plan import HttpPlan, Preopen, ProcessPlan
from wasm_executor.container.seccomp import can_restrict_calls
from wasm_executor.keeper.spawning import ENVIRONMENT

pytestmark = pytest.mark.skipif(
    landlock_abi() < LEAST_ABI or not can_restrict_calls(),
    reason="this kernel has no Landlock, or too old a one, or no seccomp",
)
PAGE = Path(__file__).parents[4] / "docs" / "security.md"
KEEPER = Path(__file__).parents[1] / "support" / "breakout_keeper.py"
COLUMNS = {
    "`wasi`": ("broken-out", False),
    "`wasi-http`": ("broken-out-serving", False),
    "sockets": ("broken-out", True),
}
"""A column of the page: the runtime in the guest's place, and whether it has the network."""


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("aot"))


@pytest.fixture
def keeper(
    tmp_path: Path, compiler: Compiler, request: pytest.FixtureRequest
) -> Iterator[KeeperProcess]:
    profile = getattr(request, "param", "unprivileged")
    started = launch_keeper(tmp_path, compiler, (str(KEEPER),), WASMLET_PRIVILEGE_PROFILE=profile)
    yield started
    started.end()


@pytest.fixture
async def supervisor(keeper: KeeperProcess) -> AsyncIterator[Supervisor]:
    async with keeper.supervise() as supervisor:
        yield supervisor


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody's, who answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def other_pods_folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "file").write_text("a secret of another pod")
    (made / "link").symlink_to("file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(made / "socket"))
        server.listen()
        yield made


async def test_broken_out_guest_reaches_what_the_page_says_and_nothing_else(
    keeper: KeeperProcess, supervisor: Supervisor, port: int, other_pods_folder: Path
) -> None:
    targets = await around(supervisor, keeper, port, other_pods_folder)
    measured: dict[str, dict[str, bool]] = {}
    for number, (column, (runtime, network)) in enumerate(COLUMNS.items()):
        found = await broken_out(supervisor, f"out{number}", runtime, targets, network=network)
        measured[column] = found.reached
        assert found.environment == ENVIRONMENT
        assert len(found.descriptors) == 4, "stdin, stdout, stderr and its outcome"
        assert set(found.descriptors) >= {0, 1, 2}
    assert (other_pods_folder / "file").read_text() == "a secret of another pod"
    assert rows_of(PAGE.read_text()) == rows_of(as_table(measured)), as_table(measured)


@pytest.mark.skipif(why_not() is not None, reason="needs the right to mount")
@pytest.mark.parametrize("keeper", ["node"], indirect=True)
async def test_under_the_node_profile_paths_and_processes_of_others_are_not_there_at_all(
    keeper: KeeperProcess, supervisor: Supervisor, port: int, other_pods_folder: Path
) -> None:
    targets = await around(supervisor, keeper, port, other_pods_folder)
    found = await broken_out(supervisor, "out", "broken-out", targets, network=False)
    page = rows_of(PAGE.read_text())
    reached = {name for name, words in page.items() if words[0] == "yes"}
    gone = {name for name in reached if name.startswith(("learn that a path", "see that a proc"))}
    assert len(gone) == 2
    assert {name for name, there in found.reached.items() if there} == reached - gone
    assert found.root == ["module", "proc", "volumes"]
    assert status_field(targets.container, "CapPrm") == "0" * 16
    assert len(found.descriptors) == 4


async def around(
    supervisor: Supervisor, keeper: KeeperProcess, port: int, outside: Path
) -> Targets:
    """Another container, and what else there is; the folders and the module are each run's own."""
    other = await supervisor.start("sleep", name="other")
    return Targets(
        outside=str(outside),
        writable="",
        read_only="",
        artifact="",
        port=port,
        keeper=keeper.pid,
        zygote=keeper.zygote_pid(),
        container=other.pid,
    )


async def broken_out(
    supervisor: Supervisor, name: str, runtime: str, targets: Targets, *, network: bool
) -> Found:
    folders = [supervisor.folder / f"{kind}-{name}" for kind in ("write", "read")]
    for folder in folders:
        folder.mkdir()
    plan = ProcessPlan(
        runtime=runtime,
        artifact=supervisor.compiler.artifact("hello"),
        args=(msgspec.json.encode(targets).decode(),),
        env=(("PASSWORD", "never in the process's own environment"),),
        preopens=(
            Preopen(host_path=str(folders[0]), guest_path="/w"),
            Preopen(host_path=str(folders[1]), guest_path="/r", read_only=True),
        ),
        network=network,
        http=HttpPlan() if runtime == "broken-out-serving" else None,
    )
    container = await supervisor.spawn(supervisor.spec(name), plan)
    ended = await supervisor.next_exit()
    assert ended.code == 0, container.content()
    return msgspec.json.decode(container.content("stdout"), type=Found)


def as_table(measured: dict[str, dict[str, bool]]) -> str:
    """What the page should hold."""
    lines = [f"| A process whose guest has broken out can | {' | '.join(measured)} |"]
    lines.append("|---|" + "---|" * len(measured))
    first = next(iter(measured.values()))
    for name in first:
        words = ["**yes**" if each[name] else "no" for each in measured.values()]
        lines.append(f"| {name} | {' | '.join(words)} |")
    return "\n".join(lines)


def rows_of(text: str) -> dict[str, tuple[str, ...]]:
    """The rows whose last cells are all yes or no. Names of calls may share one row."""
    rows: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("*", "") for cell in line.strip("|").split("|")]
        if len(cells) == 1 + len(COLUMNS) and set(cells[1:]) <= {"yes", "no"}:
            names = re.findall(r"`\w+`", cells[0])
            calls = names if cells[0].startswith("`") else [cells[0]]
            rows.update({name: tuple(cells[1:]) for name in calls})
    return rows
