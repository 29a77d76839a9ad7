"""Log files in the CRI format: every byte, in order, through rotation and full disks."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wasm_executor.keeper.logfile import LINE_LIMIT, CriFormatter, LogFile, rotated_files

NOON_NS = 1_763_726_400_123_456_789
NOON = "2025-11-21T12:00:00.123456789Z"


def lines_of(written: bytes) -> list[tuple[str, str, str, bytes]]:
    """Parse CRI lines: time, stream, tag, content."""
    parsed = []
    for line in written.split(b"\n")[:-1]:
        time, stream, tag, content = line.split(b" ", 3)
        parsed.append((time.decode(), stream.decode(), tag.decode(), content))
    return parsed


def joined(written: bytes) -> bytes:
    """What the guest wrote: a P line goes on in the next one."""
    return b"".join(
        content + (b"\n" if tag == "F" else b"") for _, _, tag, content in lines_of(written)
    )


def test_each_line_has_time_stream_and_tag() -> None:
    written = CriFormatter("stderr").feed(b"one\n\ntwo words\r\n", NOON_NS)
    assert lines_of(written) == [
        (NOON, "stderr", "F", b"one"),
        (NOON, "stderr", "F", b""),
        (NOON, "stderr", "F", b"two words\r"),
    ]


def test_unfinished_line_waits_for_its_end() -> None:
    formatter = CriFormatter("stdout")
    assert formatter.feed(b"be", NOON_NS) == b""
    assert [line[3] for line in lines_of(formatter.feed(b"gun\nnext", NOON_NS))] == [b"begun"]
    assert lines_of(formatter.finish(NOON_NS)) == [(NOON, "stdout", "P", b"next")]
    assert formatter.finish(NOON_NS) == b""


@pytest.mark.parametrize(
    ("length", "tags"),
    [
        (LINE_LIMIT - 1, "F"),
        (LINE_LIMIT, "F"),
        (LINE_LIMIT + 1, "PF"),
        (2 * LINE_LIMIT, "PF"),
        (2 * LINE_LIMIT + 1, "PPF"),
    ],
)
def test_line_above_16_kib_is_cut_as_containerd_cuts_it(length: int, tags: str) -> None:
    lines = lines_of(CriFormatter("stdout").feed(b"x" * length + b"\n", NOON_NS))
    assert "".join(tag for _, _, tag, _ in lines) == tags
    assert all(len(content) == LINE_LIMIT for _, _, tag, content in lines if tag == "P")
    assert sum(len(content) for _, _, _, content in lines) == length


@given(
    some.lists(
        some.one_of(
            some.binary(max_size=60),
            some.builds(lambda n: b"x" * n, some.integers(LINE_LIMIT - 2, 2 * LINE_LIMIT + 2)),
            some.just(b"\n"),
        ),
        max_size=12,
    )
)
def test_every_byte_is_there_however_it_was_read(chunks: list[bytes]) -> None:
    formatter = CriFormatter("stdout")
    written = b"".join(formatter.feed(chunk, NOON_NS) for chunk in chunks)
    written += formatter.finish(NOON_NS)
    assert joined(written) == b"".join(chunks)
    assert all(len(content) <= LINE_LIMIT for _, _, _, content in lines_of(written))


def test_rotated_files_are_bounded_in_number_ordered_and_end_with_whole_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pod" / "0.log"
    log = LogFile(path, max_bytes=100, max_files=3)
    for number in range(60):
        assert log.write(b"%04d %s\n" % (number, b"." * 20)) is None
    log.close()
    rotated = rotated_files(path)
    assert len(rotated) == 2
    kept = b"".join(file.read_bytes() for file in (*rotated, path))
    numbers = [int(line.split()[0]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 60))
    assert all(file.stat().st_size >= 100 for file in rotated)


def test_eleventh_rotation_within_a_second_is_still_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log = LogFile(path, max_bytes=1, max_files=50)
    for number in range(30):
        log.write(b"%d\n" % number)
    log.close()
    assert [int(file.read_text()) for file in rotated_files(path)] == list(range(30))


def test_file_that_ends_inside_a_line_is_continued_on_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"a line that its keeper did not fin")
    log = LogFile(path, max_bytes=1000, max_files=3)
    log.write(b"next\n")
    log.close()
    assert path.read_bytes() == b"a line that its keeper did not fin\nnext\n"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_full_disk_refuses_is_written_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log = LogFile(path, max_bytes=10_000, max_files=3)
    with file_size_limit(500):
        for number in range(99):
            error = log.write(b"line %02d\n" % number)
            if log.blocked:
                break
        assert error is not None
        assert log.retry() is not None
        last = number
    assert log.retry() is None
    assert not log.blocked
    log.close()
    assert path.read_bytes() == b"".join(b"line %02d\n" % number for number in range(last + 1))


def test_log_goes_on_when_its_rotated_name_cannot_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "pod"
    log = LogFile(folder / "0.log", max_bytes=10, max_files=3)
    (folder / "0.log").rename(folder / "gone.log")
    assert log.write(b"more than ten bytes\n") is None
    assert log.write(b"and more\n") is None
    log.close()
    assert (folder / "gone.log").read_bytes() == b"more than ten bytes\nand more\n"
