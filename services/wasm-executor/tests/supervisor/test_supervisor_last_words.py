"""The termination message: where its file is, what is read of it, what a guest may do to it."""

import os
import socket
from pathlib import Path

import pytest
from last_words_desk import FALLBACK, RUN, UID, C, Desk

from contract.messages.pod import ContainerPlan
from wasm_executor.supervisor.pods.lastwords import FOLDER, MessagePlace, message_place


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# Where it is


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/dev/termination-log", MessagePlace("/dev", "termination-log")),
        ("/var/log/app/end", MessagePlace("/var/log/app", "end")),
        ("/log", MessagePlace("/", "log")),
        ("log", MessagePlace("/", "log")),
        ("//dev//log/", MessagePlace("/dev", "log")),
        ("/a/../b/./log", MessagePlace("/b", "log")),
        ("/../../etc/passwd", MessagePlace("/etc", "passwd")),
        ("/..", None),
        ("/", None),
        ("", None),
    ],
)
def test_place_of_the_file_follows_from_the_path(path: str, place: MessagePlace | None) -> None:
    assert message_place(path) == place


def test_each_run_has_an_empty_file_behind_a_closed_folder(desk: Desk) -> None:
    file = desk.prepare()
    assert file.read_bytes() == b""
    assert file.stat().st_mode & 0o777 == 0o666
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.is_relative_to(desk.settings.data_dir / FOLDER)
    container = ContainerPlan(name=C, image="x")
    (other,) = desk.words.prepare(UID, container, RUN + 1)
    assert Path(other.host_path) != file.parent


def test_start_that_is_tried_again_gets_the_same_folder(desk: Desk) -> None:
    file = desk.prepare()
    file.write_text("of the first try")
    assert desk.prepare() == file
    assert file.read_bytes() == b""


@pytest.mark.parametrize("path", ["/..", "/dev/" + "x" * 300, "/dev/nu\0l"])
def test_container_whose_file_cannot_be_made_has_no_message_and_still_its_log(
    desk: Desk, path: str
) -> None:
    desk.words.prepare(UID, ContainerPlan(name=C, image="x", message_path=path), RUN)
    desk.log(b"the end\n")
    assert desk.read(path=path) == ""
    assert desk.read(1, FALLBACK, path=path) == "the end\n"


def test_full_disk_costs_the_message_and_not_the_start(desk: Desk) -> None:
    folder = desk.settings.data_dir / FOLDER
    folder.rename(folder.with_name("gone"))
    container = ContainerPlan(name=C, image="x")
    assert desk.words.prepare(UID, container, RUN) == ()
    assert desk.words.preopens(UID, container, RUN) == ()
    assert desk.read() == ""


def test_disk_that_fails_ends_nothing_but_the_message(desk: Desk) -> None:
    """What raises here would end the supervisor."""
    desk.prepare()
    folder = desk.settings.data_dir / FOLDER
    folder.rename(folder.with_name("gone"))
    desk.words.take_run(UID, C, RUN)
    desk.words.empty()
    desk.words.drop(UID)
    assert desk.read() == ""


# What is read


def test_message_is_what_the_file_holds(desk: Desk) -> None:
    desk.prepare().write_text("went böse\n")
    assert desk.read() == "went böse\n"
    assert desk.read(exit_code=0) == "went böse\n"


def test_last_4096_bytes_of_a_long_message_are_kept(desk: Desk) -> None:
    desk.prepare().write_text("x" * 5000 + "y" * 4096)
    assert desk.read() == "y" * 4096


@pytest.mark.parametrize("shift", range(4))
def test_cut_through_a_character_leaves_no_half_of_it(desk: Desk, shift: int) -> None:
    desk.prepare().write_text("𝄞" * 2000 + "." * shift)
    assert desk.read() == ("𝄞" * 1024)[: (4096 - shift) // 4] + "." * shift


def test_what_is_no_text_is_replaced_and_still_no_longer(desk: Desk) -> None:
    file = desk.prepare()
    file.write_bytes(b"so \xff it ends")
    assert desk.read() == "so � it ends"
    file.write_bytes(b"\xff" * 4096)
    assert set(desk.read()) == {"�"}
    assert len(desk.read().encode()) <= 4096


@pytest.mark.parametrize("exit_code", [0, 1])
def test_log_is_no_message_unless_the_policy_says_so(desk: Desk, exit_code: int) -> None:
    desk.prepare()
    desk.log(b"some line\n")
    assert desk.read(exit_code) == ""


def test_log_falls_in_where_a_failed_container_wrote_nothing(desk: Desk) -> None:
    desk.prepare()
    desk.log(b"one\ntwo\nand no end")
    assert desk.read(1, FALLBACK) == "one\ntwo\nand no end"
    assert desk.read(0, FALLBACK) == ""


def test_file_that_is_not_empty_goes_before_the_log(desk: Desk) -> None:
    desk.prepare().write_text("by file")
    desk.log(b"by log\n")
    assert desk.read(1, FALLBACK) == "by file"


def test_80_lines_of_the_log_at_most(desk: Desk) -> None:
    desk.prepare()
    desk.log(b"".join(b"%d\n" % number for number in range(200)))
    assert desk.read(1, FALLBACK) == "".join(f"{number}\n" for number in range(120, 200))


def test_2048_bytes_of_the_log_at_most_also_across_its_rotated_files(desk: Desk) -> None:
    desk.prepare()
    content = b"".join(b"%03d %s\n" % (number, b"." * 95) for number in range(300))
    desk.log(content, max_bytes=1024)
    assert desk.read(1, FALLBACK) == content[-2048:].decode()


def test_line_that_the_log_holds_in_parts_is_one_line(desk: Desk) -> None:
    desk.prepare()
    desk.log(b"x" * 40_000 + b"\nend\n")
    assert desk.read(1, FALLBACK) == "x" * (2048 - 5) + "\nend\n"


def test_failed_container_without_file_and_log_said_nothing(desk: Desk) -> None:
    assert desk.read(1, FALLBACK) == ""


# What a guest may put there


def test_symlink_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    file = desk.prepare()
    file.unlink()
    file.symlink_to(secret)
    desk.log(b"by log\n")
    assert desk.read() == ""
    assert desk.read(1, FALLBACK) == "by log\n"
    desk.prepare()
    assert secret.read_text() == "secret"


@pytest.mark.timeout(5)
def test_fifo_folder_and_socket_hold_up_nobody(desk: Desk) -> None:
    file = desk.prepare()
    file.unlink()
    os.mkfifo(file)
    assert desk.read() == ""
    desk.prepare()
    file.unlink()
    file.mkdir()
    assert desk.read() == ""
    desk.prepare()
    file.rmdir()
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(file.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{folder}/{file.name}")  # its own path is too long
        os.close(folder)
        assert file.is_socket()
        assert desk.read() == ""


@pytest.mark.timeout(5)
def test_of_a_file_without_end_no_more_is_read_than_kept(desk: Desk) -> None:
    file = desk.prepare()
    with file.open("wb") as huge:
        huge.truncate(1 << 40)
        huge.seek(0, os.SEEK_END)
        huge.write(b"end")
    assert desk.read().endswith("\0end")
    assert len(desk.read()) == 4096


# What is left of it
