"""The progress of an upload, on a terminal and elsewhere."""

import io

import pytest

from wasmlet.progress import Progress, ReportedBody, size_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def upload(stream: io.StringIO, content: bytes) -> None:
    progress = Progress(stream, "app.wasm", len(content))
    progress.begin()
    assert b"".join(ReportedBody(content, progress)) == content
    progress.end("pushed")


def test_a_terminal_sees_a_bar_that_fills_and_goes() -> None:
    stream = Terminal()
    upload(stream, bytes(200_000))
    drawn = stream.getvalue().split("\r\x1b[K")
    assert "100%" in drawn[-2]
    assert "#" * 30 in drawn[-2]
    assert drawn[-1] == "pushed app.wasm: 195.3 KiB\n"


def test_other_streams_get_two_lines() -> None:
    stream = io.StringIO()
    upload(stream, bytes(200_000))
    assert stream.getvalue() == "pushing app.wasm: 195.3 KiB\npushed app.wasm: 195.3 KiB\n"


def test_a_body_can_be_sent_twice() -> None:
    body = ReportedBody(b"abc", Progress(io.StringIO(), "x", 3))
    assert len(body) == 3
    assert b"".join(body) == b"".join(body) == b"abc"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 40, "5120.0 GiB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert size_text(size) == text
