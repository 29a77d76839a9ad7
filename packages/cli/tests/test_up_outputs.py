"""What static pods print reaches the terminal once, whole lines only."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.staticstatus import StaticContainer, StaticPod, StaticStatus
from wasmlet.up.outputs import OutputFollower
from wasmlet.up.status import read_status

POD = StaticPod(
    namespace="default",
    name="hello",
    uid="u",
    node="n",
    phase="Running",
    containers=(StaticContainer(name="app", state="running"),),
)
STAMP = "2026-01-02T03:04:05.000000000Z stdout"


def test_each_line_is_shown_once_and_parts_are_joined(tmp_path: Path) -> None:
    shown: list[tuple[str, str]] = []

    def writer(name: str) -> Callable[[str], None]:
        return lambda line: shown.append((name, line))

    folder = tmp_path / "pods" / "default_hello_u" / "app"
    folder.mkdir(parents=True)
    log = folder / "0.log"
    follower = OutputFollower(tmp_path, writer)
    log.write_text(f"{STAMP} F one\n{STAMP} P tw")
    follower.show((POD,))
    assert shown == [("hello", "one")]
    with log.open("a") as out:
        out.write(f"o\n{STAMP} F  and a half\n{STAMP} F \n")
    follower.show((POD,))
    follower.show((POD,))
    assert shown == [("hello", "one"), ("hello", "two and a half"), ("hello", "")]


def test_a_status_file_that_is_not_there_yet_says_nothing(tmp_path: Path) -> None:
    assert read_status(tmp_path / "status.json") == StaticStatus()


def test_a_log_that_is_removed_meanwhile_is_passed_over(tmp_path: Path) -> None:
    shown: list[str] = []
    folder = tmp_path / "pods" / "default_hello_u" / "app"
    folder.mkdir(parents=True)
    (folder / "0.log").symlink_to(tmp_path / "gone")
    (folder / "1.log").write_text(f"{STAMP} F still here\n")
    OutputFollower(tmp_path, lambda _: shown.append).show((POD,))
    assert shown == ["still here"]


def test_what_else_ends_a_line_may_be_within_one(tmp_path: Path) -> None:
    """A progress bar, a form feed: a guest prints what it likes."""
    text = "50 %\r100 %\x0b\x0c\x1c\x85\u2028end"
    shown: list[str] = []
    folder = tmp_path / "pods" / "default_hello_u" / "app"
    folder.mkdir(parents=True)
    (folder / "0.log").write_text(f"{STAMP} F {text}\n{STAMP} F next\n", "utf-8", newline="")
    OutputFollower(tmp_path, lambda _: shown.append).show((POD,))
    assert shown == [text, "next"]


def test_nothing_is_lost_where_a_log_is_rotated_between_two_looks(tmp_path: Path) -> None:
    shown: list[str] = []
    folder = tmp_path / "pods" / "default_hello_u" / "app"
    folder.mkdir(parents=True)
    log = folder / "0.log"
    follower = OutputFollower(tmp_path, lambda _: shown.append)
    log.write_text(f"{STAMP} F one\n")
    follower.show((POD,))
    with log.open("a") as out:
        out.write(f"{STAMP} F tw")
        out.flush()
        follower.show((POD,))
        out.write("o\n")
    log.rename(folder / "0.log.20260102-030405")
    follower.show((POD,))
    log.write_text(f"{STAMP} F three\n{STAMP} F four\n")
    follower.show((POD,))
    assert shown == ["one", "two", "three", "four"]


def removed(log: Path) -> None:
    log.rename(log.with_name("kept"))  # its inode is not to be the next file's


def cut_off(log: Path) -> None:
    log.write_bytes(b"")


@pytest.mark.parametrize("end", [removed, cut_off])
@pytest.mark.parametrize("rest", ["F tw", "P tw\n"])
def test_half_a_line_whose_rest_is_gone_is_not_put_before_another(
    tmp_path: Path, end: Callable[[Path], None], rest: str
) -> None:
    shown: list[str] = []
    folder = tmp_path / "pods" / "default_hello_u" / "app"
    folder.mkdir(parents=True)
    log = folder / "0.log"
    follower = OutputFollower(tmp_path, lambda _: shown.append)
    log.write_text(f"{STAMP} F one\n{STAMP} {rest}")
    follower.show((POD,))
    end(log)
    log.write_text(f"{STAMP} F three\n")
    follower.show((POD,))
    assert shown == ["one", "three"]
