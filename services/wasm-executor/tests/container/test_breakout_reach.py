"""A native program in the guest's place reaches what docs/security.md lists, and nothing else."""

import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pytest
from breakout_tries import Targets
from breakout_zygote import Found
from keeper_rig import Compiler, Container, KeeperProcess, Supervisor, launch_keeper, status_field

from wasm_executor.container.landlock import LEAST_ABI, landlock_abi
from wasm_executor.container.ownroot import why_not
from wasm_executor.container.plan import External, HttpPlan, Preopen, ProcessPlan
from wasm_executor.container.seccomp import can_restrict_calls
from wasm_executor.keeper.spawning import ENVIRONMENT

pytestmark = pytest.mark.skipif(
    landlock_abi() < LEAST_ABI or not can_restrict_calls(),
    reason="this kernel has no Landlock, or too old a one, or no seccomp",
)
PAGE = Path(__file__).parents[4] / "docs" / "security.md"
KEEPER = Path(__file__).parents[1] / "support" / "breakout_keeper.py"


class Place(NamedTuple):
    """Where a guest has broken out."""

    runtime: str
    serves: bool = False
    sockets: bool = False
    external: External | None = None


def program(network: Literal["none", "listen"]) -> Place:
    """A program of the machine: the tries run in its stead, behind its walls."""
    own = External(program=os.path.realpath(sys.executable), command=(), network=network)
    return Place("broken-out-program", external=own)


COLUMNS = {
    "`wasi`": Place("broken-out"),
    "`wasi-http`": Place("broken-out-serving", serves=True),
    "`wagi`": Place("broken-out-wagi", serves=True),
    "sockets": Place("broken-out", sockets=True),
    "`external`": program("none"),
    "`external`, `listen`": program("listen"),
}
"""The columns of the page."""


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
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard,
    ):
        server.bind(str(made / "socket"))
        server.listen()
        heard.bind(str(made / "datagrams"))
        yield made


async def test_broken_out_guest_reaches_what_the_page_says_and_nothing_else(
    keeper: KeeperProcess, supervisor: Supervisor, port: int, other_pods_folder: Path
) -> None:
    targets = await around(supervisor, keeper, port, other_pods_folder)
    measured: dict[str, dict[str, bool]] = {}
    for number, (column, place) in enumerate(COLUMNS.items()):
        found = await broken_out(supervisor, f"out{number}", place, targets)
        measured[column] = found.reached
        assert found.environment == ENVIRONMENT
        held = 5 if place.serves else 4
        assert len(found.descriptors) == held, "stdin, stdout, stderr, its outcome, a listener"
        assert set(found.descriptors) >= {0, 1, 2}
    assert (other_pods_folder / "file").read_text() == "a secret of another pod"
    assert rows_of(PAGE.read_text()) == rows_of(as_table(measured)), as_table(measured)


@pytest.mark.skipif(why_not() is not None, reason="needs the right to mount")
@pytest.mark.parametrize("keeper", ["node"], indirect=True)
async def test_under_the_node_profile_paths_and_processes_of_others_are_not_there_at_all(
    keeper: KeeperProcess, supervisor: Supervisor, port: int, other_pods_folder: Path
) -> None:
    targets = await around(supervisor, keeper, port, other_pods_folder)
    found = await broken_out(supervisor, "out", Place("broken-out"), targets)
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


async def broken_out(supervisor: Supervisor, name: str, place: Place, targets: Targets) -> Found:
    folders = [supervisor.folder / f"{kind}-{name}" for kind in ("write", "read")]
    for folder in folders:
        folder.mkdir()
    plan = ProcessPlan(
        runtime=place.runtime,
        artifact=supervisor.compiler.artifact("hello"),
        args=(msgspec.json.encode(targets).decode(),),
        env=(("PASSWORD", "never in the process's own environment"),),
        preopens=(
            Preopen(host_path=str(folders[0]), guest_path="/w"),
            Preopen(host_path=str(folders[1]), guest_path="/r", read_only=True),
        ),
        network=place.sockets,
        http=HttpPlan() if place.serves else None,
        external=place.external,
    )
    spec = supervisor.spec(name)
    with socket.create_server(("127.0.0.1", 0)) as own:
        handed = (own.fileno(),) if place.serves else ()
        spawned = await supervisor.client.spawn(spec, plan, listeners=handed)
        container = Container(spec.key, spawned.pid, spawned.started_at, Path(spec.log_path or ""))
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
