"""What lines of a log say, against the plain way: line by line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasm_executor.domain.crilines import contents

STAMP = b"2026-01-02T03:04:05.000000001Z"
LINE = re.compile(rb"(\S+) std(?:out|err) ([^ \n]*) ([^\n]*)\n")
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def line(
    content: bytes, stamp: bytes = STAMP, stream: bytes = b"stdout", tag: bytes = b"F"
) -> bytes:
    return b" ".join((stamp, stream, tag, content)) + b"\n"


def said(line: bytes) -> bytes:
    match = LINE.fullmatch(line)
    if match is None or not TIME.fullmatch(match[1]):
        return b""
    return match[3] if match[2].split(b":")[0] == b"P" else match[3] + b"\n"


kept = st.builds(
    line,
    st.builds(  # short lines and long ones are read in different ways
        lambda data, times: data.replace(b"\n", b"|") * times,
        st.binary(max_size=40),
        st.sampled_from([1, 1, 100]),
    ),
    st.sampled_from(
        [STAMP, STAMP, b"2026-01-02T03:04:06.5Z", b"2026-01-02T05:04:07+02:00", b"now"]
    ),
    st.sampled_from([b"stdout", b"stderr", b"stdin"]),
    st.sampled_from([b"F", b"F", b"P", b"P:x", b"F:y", b""]),
)
broken = st.sampled_from([b"\n", b"torn\n", STAMP + b" stdout F\n"])


@given(st.lists(st.one_of(kept, kept, broken), max_size=12))
def test_lines_say_what_each_says(lines: list[bytes]) -> None:
    assert contents(b"".join(lines)) == b"".join(map(said, lines))


@pytest.mark.parametrize("tag", [b"F", b"P"])
def test_content_is_said_byte_for_byte(tag: bytes) -> None:
    content = bytes(byte for byte in range(256) if byte != 0x0A) + STAMP + b" stdout F \xff\xfe\r"
    assert contents(line(content, tag=tag)) == content + (b"\n" if tag == b"F" else b"")
