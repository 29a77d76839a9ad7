"""The kernel's own wall around a guest's folders; each test in a process of its own."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from forks import in_a_fork
from keeper_rig import Compiler

from wasm_executor.container import landlock
from wasm_executor.container.confining import confine, fence_files
from wasm_executor.container.landlock import LEAST_ABI, landlock_abi, restrict
from wasm_executor.container.plan import Artifact, ArtifactKind, Preopen, ProcessPlan, framed
from wasm_executor.container.process import live
from wasm_executor.runtimes.errors import GuestNotStartedError
from wasm_executor.runtimes.wasi import WasiRuntime
from wasm_executor.zygote.wire import GO

pytestmark = pytest.mark.skipif(
    landlock_abi() < LEAST_ABI, reason="this kernel has no Landlock, or too old a one"
)


def refused(what: Callable[[], object]) -> bool:
    try:
        what()
    except PermissionError:
        return True
    except OSError as error:
        return error.errno == errno.EXDEV  #: so Landlock says it of links and renames
    return False


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = tmp_path / "read", tmp_path / "write", tmp_path / "other"
    for each in made:
        (each / "sub").mkdir(parents=True)
        (each / "file").write_text("content")
    return made


def test_read_only_holds_against_every_change(folders: tuple[Path, Path, Path]) -> None:
    read, write, _ = folders
    file = read / "file"

    def inside() -> None:
        assert restrict([str(read)], [str(write)])
        assert file.read_text() == "content"
        assert sorted(each.name for each in read.iterdir()) == ["file", "sub"]
        tries: dict[str, Callable[[], object]] = {
            "write": lambda: os.open(file, os.O_WRONLY),
            "truncate by path": lambda: os.truncate(file, 0),
            "truncate by opening": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
            "make": lambda: os.open(read / "new", os.O_CREAT | os.O_WRONLY),
            "unlink": file.unlink,
            "rename": lambda: (file).rename(read / "new"),
            "rename out": lambda: (file).rename(write / "new"),
            "rename over": lambda: (write / "file").rename(file),
            "link": lambda: os.link(file, read / "new"),
            "link out": lambda: os.link(file, write / "new"),
            "link in": lambda: os.link(write / "file", read / "new"),
            "symlink": lambda: (read / "new").symlink_to("x"),
            "mkdir": (read / "new").mkdir,
            "rmdir": (read / "sub").rmdir,
        }
        allowed = [name for name, each in tries.items() if not refused(each)]
        assert allowed == []

    in_a_fork(inside)
    assert file.read_text() == "content"
    assert (write / "file").read_text() == "content"


def test_writable_folder_is_wholly_writable(folders: tuple[Path, Path, Path]) -> None:
    _, write, _ = folders

    def inside() -> None:
        assert restrict([], [str(write)])
        (write / "file").write_text("changed")
        os.truncate(write / "file", 3)
        (write / "file").rename(write / "sub" / "file")
        os.link(write / "sub" / "file", write / "linked")
        (write / "pointing").symlink_to("linked")
        (write / "made").mkdir()
        (write / "made").rmdir()
        (write / "pointing").unlink()

    in_a_fork(inside)
    assert (write / "linked").read_text() == "cha"


def test_everything_else_is_out_of_reach(folders: tuple[Path, Path, Path]) -> None:
    read, write, other = folders
    (write / "way-out").symlink_to("../other/file")

    def inside() -> None:
        assert restrict([str(read)], [str(write)])
        assert refused((other / "file").read_text)
        assert refused((write / "way-out").read_text)
        assert refused(lambda: list(Path("/etc").iterdir()))
        assert refused(lambda: (other / "new").write_text("x"))

    in_a_fork(inside)


def test_single_file_is_all_that_is_allowed_of_its_folder(
    folders: tuple[Path, Path, Path],
) -> None:
    read, _, _ = folders

    def inside() -> None:
        assert restrict([str(read / "file")], [])
        assert (read / "file").read_text() == "content"
        assert refused(lambda: list(read.iterdir()))

    in_a_fork(inside)


def plan_of(artifact: Path, *preopens: Preopen, runtime: str = "wasi") -> ProcessPlan:
    return ProcessPlan(
        runtime=runtime,
        artifact=Artifact(path=str(artifact), kind=ArtifactKind.MODULE),
        preopens=preopens,
    )


def test_preopens_say_what_is_allowed_and_parts_of_volumes_are_walked(
    folders: tuple[Path, Path, Path],
) -> None:
    read, write, other = folders
    plan = plan_of(
        other / "file",
        Preopen(host_path=str(read), guest_path="/r", read_only=True),
        Preopen(host_path=str(write), guest_path="/w", beneath=("sub",)),
    )

    def inside() -> None:
        assert fence_files(plan)
        assert (other / "file").read_text() == "content"
        assert refused(lambda: (other / "file").write_text("x"))
        assert refused(lambda: (read / "file").write_text("x"))
        assert refused((write / "file").read_text)
        (write / "sub" / "new").write_text("x")

    in_a_fork(inside)


def test_folder_that_leads_elsewhere_by_now_is_named_as_its_guest_knows_it(
    folders: tuple[Path, Path, Path],
) -> None:
    _, write, other = folders
    (write / "trap").symlink_to("../other")
    trap = Preopen(host_path=str(write), guest_path="/w", beneath=("trap",))
    with pytest.raises(GuestNotStartedError, match="the folder for /w cannot be opened"):
        fence_files(plan_of(other / "file", trap))


def test_names_of_the_network_can_be_looked_up_by_who_has_it(tmp_path: Path) -> None:
    hosts = Path("/etc/hosts")
    without = plan_of(tmp_path / "none")

    def with_the_network() -> None:
        assert fence_files(msgspec.structs.replace(without, network=True))
        assert hosts.read_text()
        assert refused(Path("/etc/passwd").read_text)

    def without_it() -> None:
        assert fence_files(without)
        assert refused(hosts.read_text)

    in_a_fork(with_the_network)
    in_a_fork(without_it)


def test_kernel_without_landlock_starts_guests_all_the_same(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, other = folders
    monkeypatch.setattr(landlock, "landlock_abi", lambda: LEAST_ABI - 1)
    assert not fence_files(plan_of(other / "file"))
    assert (other / "file").read_text() == "content"


class Escaped:
    """A runtime whose guest has broken out: it does as the process can, not as WASI lets it."""

    def __init__(self, *wanted: Path) -> None:
        self._wanted = wanted

    def prepare(self) -> None: ...

    def accepts(self, artifact: Artifact) -> bool:
        return bool(artifact.path)

    def run(self, plan: ProcessPlan, on_started: Callable[[], None]) -> int:
        on_started()
        Path(plan.artifact.path).read_bytes()
        os.write(1, b"still heard\n")
        return sum(not refused(each.read_text) for each in self._wanted)


def test_process_of_a_container_opens_nothing_outside_when_its_guest_has_broken_out(
    folders: tuple[Path, Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """The process as the keeper has it, from its plan on."""
    read, write, other = folders
    preopen = Preopen(host_path=str(write), guest_path="/w")
    plan = plan_of(read / "file", preopen, runtime="escaped")
    wanted = (other / "file", Path("/etc/passwd"), Path("/proc/1/environ"), Path(__file__))

    def inside() -> None:
        ours, its = socket.socketpair()
        ours.sendall(framed(plan))
        keeper, gate = socket.socketpair()
        keeper.sendall(GO)
        outcome = os.memfd_create("outcome")
        assert live(its.detach(), outcome, {"escaped": Escaped(*wanted)}, gate) == 0
        assert os.pread(outcome, 100, 0) == b""

    in_a_fork(inside)
    assert capfd.readouterr().out == "still heard\n"


def test_guest_runs_behind_all_walls_and_loses_nothing_that_is_its(
    folders: tuple[Path, Path, Path], compiler: Compiler, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the runtime itself needs, before and while the guest runs, is the artifact alone."""
    read, write, _ = folders
    preopens = (
        Preopen(host_path=str(read), guest_path="/r", read_only=True),
        Preopen(host_path=str(write.parent), guest_path="/w", beneath=("write", ".")),
    )
    artifact = compiler.artifact("volumes")

    def guest(*args: str) -> int:
        plan = ProcessPlan(runtime="wasi", artifact=artifact, args=("g", *args), preopens=preopens)
        runtime = WasiRuntime()
        runtime.prepare()
        confine(plan)
        return runtime.run(plan, lambda: None)

    def does_all() -> None:
        assert guest("/w", "x", "file", "other") == 0

    def reads() -> None:
        assert guest("/r", "r", "file") == 0

    in_a_fork(does_all)
    assert capfd.readouterr().out == "00 " * 13
    in_a_fork(reads)
    assert capfd.readouterr().out == "content"
