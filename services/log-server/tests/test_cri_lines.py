"""Lines of a CRI log as `kubectl logs` shows them, against the kubelet's own way, line by line."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from log_server.domain.crilines import Rendering
from log_server.domain.logoptions import LogOptions
from log_server.domain.timestamps import fixed, nanoseconds

T0 = "2026-01-02T03:04:05.000000001Z"
T1 = "2026-01-02T03:04:06.5Z"
T2 = "2026-01-02T05:04:07+02:00"
ALL = LogOptions()


class Reference:
    """cri-client's ReadLogs and logWriter.write, as they stand."""

    def __init__(self, options: LogOptions) -> None:
        self.options = options
        self.left = None if options.follow else options.tail_lines
        self.remain = 2**63 - 1 if options.limit_bytes is None else options.limit_bytes
        self.out = b""

    def read(self, file: bytes) -> bytes:
        new_line = True
        for stamp, content in filter(None, map(parse, _lines(file))):
            if self.left == 0 or not self.write(stamp, content, new_line=new_line):
                break
            if self.left is not None:
                self.left -= 1
            new_line = not content or content.endswith(b"\n")
        return self.out

    def write(self, stamp: str, content: bytes, *, new_line: bool) -> bool:
        since = self.options.since_ns
        if since is not None and nanoseconds(stamp) < since:
            return True
        shown = content
        if self.options.timestamps and new_line:
            shown = fixed(stamp).encode() + b" " + content
        shown = shown[: self.remain]
        self.remain -= len(shown)
        self.out += shown
        return self.remain > 0


def _lines(file: bytes) -> list[bytes]:
    pieces = [piece + b"\n" for piece in file.split(b"\n")]
    pieces[-1] = pieces[-1][:-1]
    return [piece for piece in pieces if piece]


def parse(line: bytes) -> tuple[str, bytes] | None:
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in (b"stdout", b"stderr"):
        return None
    try:
        nanoseconds(fields[0].decode())
    except ValueError:
        return None
    content = fields[3]
    if fields[2].split(b":")[0] == b"P" and content.endswith(b"\n"):
        content = content[:-1]
    return fields[0].decode(), content


def rendered(file: bytes, options: LogOptions, *cuts: int) -> bytes:
    """What comes out when the file comes in chunks of whole lines."""
    rendering = Rendering(options)
    lines = _lines(file)
    out = b""
    bounds = [0, *sorted({cut % (len(lines) + 1) for cut in cuts}), len(lines)]
    for start, end in itertools.pairwise(bounds):
        if rendering.done:
            break
        out += rendering.feed(b"".join(lines[start:end]))
    return out


def line(content: bytes, at: str = T0, stream: str = "stdout", tag: str = "F") -> bytes:
    return f"{at} {stream} {tag} ".encode() + content + b"\n"


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3))  # noqa: DTZ001 - an offset is appended
stamps = st.builds(
    lambda moment, digits, offset: (
        moment.isoformat(timespec="microseconds")[: 19 + (digits + 1 if digits else 0)].ljust(
            19 + (digits + 1 if digits else 0), "7"
        )
        + offset
    ),
    moments,
    st.integers(0, 9),
    st.sampled_from(["Z", "Z", "Z", "+02:00", "-00:30", "+00:00"]),
)
contents = st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"|"))
lines = st.builds(
    line,
    contents,
    stamps,
    st.sampled_from(["stdout", "stderr", "stdout", "stdin"]),
    st.sampled_from(["F", "F", "P", "P", "P:x", "F:y", "PX", ""]),
)
broken = st.sampled_from(
    [b"\n", b"no log line\n", T0.encode() + b" stdout F\n", b"20x6-01-02T03:04:05Z stdout F a\n"]
)
files = st.lists(st.one_of(lines, lines, lines, broken), max_size=12).map(b"".join)
options_of = st.builds(
    LogOptions,
    follow=st.booleans(),
    timestamps=st.booleans(),
    since_ns=st.none() | moments.map(lambda m: nanoseconds(m.isoformat() + "Z")),
    tail_lines=st.none() | st.integers(0, 8),
    limit_bytes=st.none() | st.integers(1, 120),
)


@given(files, options_of, st.lists(st.integers(0, 20), max_size=3))
@example(line(b"a", tag="P") + line(b"b", stream="stderr"), LogOptions(timestamps=True), [1])
@example(line(b"", tag="P") + line(b"b"), LogOptions(timestamps=True), [])
@example(line(b"cut")[:-1], LogOptions(), [])
def test_every_file_is_shown_as_the_kubelet_shows_it(
    file: bytes, options: LogOptions, cuts: list[int]
) -> None:
    assert rendered(file, options, *cuts) == Reference(options).read(file)


@pytest.mark.parametrize("timestamps", [False, True])
def test_content_comes_out_byte_for_byte(timestamps: bool) -> None:  # noqa: FBT001 - a parameter
    content = bytes(byte for byte in range(256) if byte != 0x0A) + b"\x1b[31m\xff\xfe\xc3(\r"
    shown = rendered(line(content), LogOptions(timestamps=timestamps))
    assert shown == (f"{T0} ".encode() if timestamps else b"") + content + b"\n"


def test_parts_join_and_only_the_first_has_a_timestamp() -> None:
    file = line(b"a", T0, tag="P") + line(b"b", T1, tag="P") + line(b"c", T1) + line(b"d", T1)
    assert rendered(file, ALL) == b"abc\nd\n"
    shown = rendered(file, LogOptions(timestamps=True), 1, 2)
    assert shown == f"{T0} abc\n2026-01-02T03:04:06.500000000Z d\n".encode()


def test_timestamps_have_nine_digits_in_their_own_offset() -> None:
    file = line(b"a", T1) + line(b"b", T2) + line(b"c", "2026-01-02T03:04:05+00:00")
    assert rendered(file, LogOptions(timestamps=True)) == (
        b"2026-01-02T03:04:06.500000000Z a\n"
        b"2026-01-02T05:04:07.000000000+02:00 b\n"
        b"2026-01-02T03:04:05.000000000Z c\n"
    )


def test_a_line_of_exactly_the_asked_time_is_kept() -> None:
    file = line(b"before", "2026-01-02T03:04:04.999999999Z") + line(b"at", "2026-01-02T03:04:05Z")
    since = LogOptions(since_ns=nanoseconds("2026-01-02T03:04:05Z"))
    assert rendered(file, since) == b"at\n"
    exact = line(b"at", "2026-01-02T03:04:05.000000000Z")
    assert rendered(exact, since) == b"at\n"


def test_the_limit_counts_timestamps_and_cuts_within_a_line() -> None:
    file = line(b"hello") + line(b"world")
    shown = rendered(file, LogOptions(timestamps=True, limit_bytes=34))
    assert shown == f"{T0} hel".encode()
    assert rendered(file, LogOptions(limit_bytes=8), 1) == b"hello\nwo"


def test_the_limit_ends_the_stream() -> None:
    rendering = Rendering(LogOptions(limit_bytes=6, follow=True))
    assert rendering.feed(line(b"hello") + line(b"world")) == b"hello\n"
    assert rendering.done


def test_without_follow_no_line_is_read_beyond_the_tail_although_filtered_ones_count() -> None:
    since = nanoseconds(T1)
    file = line(b"old", T0) + line(b"new", T1) + line(b"written since", T1)
    assert rendered(file, LogOptions(tail_lines=2, since_ns=since)) == b"new\n"
    follow = LogOptions(tail_lines=2, since_ns=since, follow=True)
    assert rendered(file, follow) == b"new\nwritten since\n"


def test_a_tail_of_nothing_is_done_before_it_begins() -> None:
    assert Rendering(LogOptions(tail_lines=0)).done
    assert not Rendering(LogOptions(tail_lines=0, follow=True)).done


def test_times_outside_what_can_be_written_filter_all_or_nothing() -> None:
    file = line(b"a")
    epoch_of_go = nanoseconds("0001-01-01T00:00:00Z")
    assert rendered(file, LogOptions(since_ns=epoch_of_go - 10**18)) == b"a\n"
    after = nanoseconds("9999-12-31T23:59:59-01:00")
    assert rendered(file, LogOptions(since_ns=after)) == b""


@given(moments, st.integers(0, 999_999_999))
def test_nanoseconds_order_as_times_do(moment: datetime, fraction: int) -> None:
    text = f"{moment.replace(microsecond=0).isoformat()}.{fraction:09d}Z"
    whole = int((moment.replace(microsecond=0, tzinfo=UTC)).timestamp())
    assert nanoseconds(text) == whole * 10**9 + fraction
    later = (moment.replace(microsecond=0) + timedelta(seconds=1)).isoformat() + "Z"
    assert nanoseconds(text) < nanoseconds(later)
