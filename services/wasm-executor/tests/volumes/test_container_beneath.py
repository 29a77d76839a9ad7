"""What is opened below a folder is below it, whoever changes what meanwhile."""

import errno
import os
import threading
from pathlib import Path

import pytest

from wasm_executor.container.beneath import open_beneath, openable


def opened(root: Path, *paths: str, create_mode: int | None = None) -> Path:
    """What was really opened."""
    descriptor = open_beneath(str(root), paths, create_mode=create_mode)
    try:
        return Path(openable(descriptor)).readlink()
    finally:
        os.close(descriptor)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (tmp_path / "secret").write_text("outside")
    (root / "file").write_text("inside")
    return root


@pytest.mark.parametrize("path", ["a/b", "/a/b", "a//./b/", "a/../a/b", "inner/b", "chain/b"])
def test_path_that_stays_inside_is_opened(root: Path, path: str) -> None:
    (root / "inner").symlink_to("a/../a/./")
    (root / "chain").symlink_to("inner")
    assert opened(root, path) == root / "a" / "b"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("..", errno.EXDEV),
        ("a/../../secret", errno.EXDEV),
        ("up/secret", errno.EXDEV),
        ("absolute", errno.EXDEV),
        ("inside-by-name", errno.EXDEV),
        ("loop", errno.ELOOP),
        ("file/x", errno.ENOTDIR),
        ("none", errno.ENOENT),
    ],
)
def test_path_that_leads_out_or_nowhere_is_not(root: Path, path: str, code: int) -> None:
    (root / "up").symlink_to("a/../..")
    (root / "absolute").symlink_to(root.parent / "secret")
    (root / "inside-by-name").symlink_to(root / "a")
    (root / "loop").symlink_to("loop")
    before = descriptors()
    with pytest.raises(OSError, match=r"\w") as refused:
        opened(root, path)
    assert refused.value.errno == code
    assert descriptors() == before


def test_second_path_may_not_leave_the_first(root: Path) -> None:
    (root / "a" / "up").symlink_to("../file")
    assert opened(root, "a/up") == root / "file"
    with pytest.raises(OSError, match="leads out"):
        opened(root, "a", "up")


def test_missing_folders_are_made_inside_only(root: Path) -> None:
    (root / "out").symlink_to("../made")
    assert opened(root, "a/new/er", create_mode=0o755) == root / "a" / "new" / "er"
    with pytest.raises(OSError, match="leads out"):
        opened(root, "out/x", create_mode=0o755)
    assert not (root.parent / "made").exists()


def test_folder_swapped_for_a_symlink_all_the_time_never_leads_out(root: Path) -> None:
    (root.parent / "b").mkdir()
    (root / "trap").symlink_to("..")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "a").rename(root / "kept")
            (root / "trap").rename(root / "a")
            (root / "a").rename(root / "trap")
            (root / "kept").rename(root / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    outcomes: set[Path | int | None] = set()
    try:
        for _ in range(20_000):
            try:
                outcomes.add(opened(root, "a/b").parent.parent)
            except OSError as error:
                outcomes.add(error.errno)
            if {root, errno.EXDEV} <= outcomes:
                break
    finally:
        stop.set()
        swapping.join()
    assert outcomes <= {root, errno.EXDEV, errno.ENOENT}
    assert {root, errno.EXDEV} <= outcomes, "the race was not seen from both sides"
