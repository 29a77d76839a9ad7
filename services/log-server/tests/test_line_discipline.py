"""What a terminal makes of keys, for a guest that has only pipes."""

import pytest

from log_server.domain.linediscipline import LineDiscipline, Typed


@pytest.mark.parametrize(
    ("keys", "read", "echo"),
    [
        (b"hi\r", b"hi\n", b"hi\r\n"),
        (b"hx\x7fi\r", b"hi\n", b"hx\b \bi\r\n"),
        (b"no\x15yes\r", b"yes\n", b"no\b \b\b \byes\r\n"),
        ("ä\x7fo\r".encode(), b"o\n", "ä\b \bo\r\n".encode()),
        (b"\x7f\x7fa\r", b"a\n", b"a\r\n"),
        (b"part", b"", b"part"),
        (b"part\x04", b"part", b"part"),
    ],
)
def test_a_line_is_edited_and_handed_over_whole(keys: bytes, read: bytes, echo: bytes) -> None:
    assert LineDiscipline().typed(keys) == Typed(read, echo)
    one_by_one = LineDiscipline()
    typed = [one_by_one.typed(bytes([key])) for key in keys]
    assert b"".join(each.read for each in typed) == read
    assert b"".join(each.echo for each in typed) == echo


def test_the_end_and_an_interrupt_are_told_at_once() -> None:
    terminal = LineDiscipline()
    assert terminal.typed(b"a\r\x04b") == Typed(b"a\n", b"a\r\n", ended=True)
    assert terminal.typed(b"b\x03") == Typed(b"", b"b^C\r\n", interrupted=True)


def test_output_returns_the_carriage() -> None:
    assert LineDiscipline().printed(b"a\nb\r\n") == b"a\r\nb\r\n"
