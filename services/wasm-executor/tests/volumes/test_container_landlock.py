"""The kernel's own wall around a guest's folders; each test in a process of its own."""

import errno
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from keeper_rig import Compiler

from wasm_executor.container.landlock import LEAST_ABI, landlock_abi, restrict, restrict_to
from wasm_executor.container.plan import Preopen, ProcessPlan
from wasm_executor.runtimes.wasi import WasiRuntime

pytestmark = pytest.mark.skipif(
    landlock_abi() < LEAST_ABI, reason="this kernel has no Landlock, or too old a one"
)


def in_a_fork(what: Callable[[], None]) -> None:
    """Restricting is for good."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        except BaseException:  # noqa: BLE001 - it ends here
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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


def test_preopens_say_what_is_allowed_and_parts_of_volumes_are_walked(
    folders: tuple[Path, Path, Path],
) -> None:
    read, write, other = folders
    preopens = (
        Preopen(host_path=str(read), guest_path="/r", read_only=True),
        Preopen(host_path=str(write), guest_path="/w", beneath=("sub",)),
    )

    def inside() -> None:
        assert restrict_to(preopens, also_read=[str(other / "file")])
        assert (other / "file").read_text() == "content"
        assert refused(lambda: (read / "file").write_text("x"))
        assert refused((write / "file").read_text)
        (write / "sub" / "new").write_text("x")

    in_a_fork(inside)
    (write / "trap").symlink_to("../other")
    trap = Preopen(host_path=str(write), guest_path="/w", beneath=("trap",))
    with pytest.raises(OSError, match="leads out"):
        restrict_to([trap])


def test_guest_runs_behind_both_walls_and_loses_nothing_that_is_its(
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
        assert restrict_to(plan.preopens, also_read=[artifact.path])
        return runtime.run(plan, lambda: None)

    def does_all() -> None:
        assert guest("/w", "x", "file", "other") == 0

    def reads() -> None:
        assert guest("/r", "r", "file") == 0

    in_a_fork(does_all)
    assert capfd.readouterr().out == "00 " * 13
    in_a_fork(reads)
    assert capfd.readouterr().out == "content"
