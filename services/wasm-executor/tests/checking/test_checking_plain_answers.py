"""The answer that needs no parser is read as the parser would read it, or not at all."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasm_executor.checking.errors import CheckingError
from wasm_executor.checking.exchange import Answer, _Exchange, plain_answer
from wasm_executor.checking.finding import MAX_BODY_BYTES

type Seen = tuple[int, str, bytes] | str

FIELDS = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 3",
            b"content-length:3",
            b"Content-Length: 5",
            b"Content-Length: x",
            b"Content-Length: 3 ",
            b"X-Content-Length: 4",
            b"Transfer-Encoding: chunked",
            b"Location: /there",
            b"Connection: close",
            b"Server: a: b",
            b" folded",
            b"no colon",
            b"Bad Name: 1",
            b"Empty:",
        ]
    ),
    max_size=4,
)
STARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 500 No",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 103 Early Hints",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.1 2000 OK",
    ]
)
BODIES = st.sampled_from([b"", b"ok", b"abc", b"abcde", b"3\r\nabc\r\n0\r\n\r\n"])


def seen(loop: asyncio.AbstractEventLoop, pieces: list[bytes]) -> Seen:
    """What comes of these bytes, in these pieces, and then the end."""
    answered: asyncio.Future[Answer] = loop.create_future()
    exchange = _Exchange(b"", answered)
    for piece in pieces:
        exchange.data_received(piece)
    exchange.connection_lost(None)
    error = answered.exception()
    if error is not None:
        assert isinstance(error, CheckingError)
        return error.text
    answer = answered.result()
    return answer.status, answer.location, bytes(answer.body)


@given(STARTS, FIELDS, BODIES)
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 3"], b"abc")
def test_one_piece_and_many_pieces_are_the_same_answer(
    start: bytes, fields: list[bytes], body: bytes
) -> None:
    whole = b"\r\n".join((start, *fields, b"", b"")) + body
    loop = asyncio.new_event_loop()
    try:
        single = [whole[at : at + 1] for at in range(len(whole))]
        assert seen(loop, [whole]) == seen(loop, single)
    finally:
        loop.close()


@pytest.mark.parametrize("size", [0, 3])
def test_plain_answer_is_read_without_a_parser(size: int) -> None:
    answer = plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nabc" % size)
    assert answer is not None
    assert (answer.status, bytes(answer.body)) == (200, b"abc"[:size])


def test_long_answer_is_cut_to_the_limit_whoever_reads_it() -> None:
    body = b"a" * 2 * MAX_BODY_BYTES
    plain = plain_answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert plain is not None
    assert len(plain.body) == MAX_BODY_BYTES
    loop = asyncio.new_event_loop()
    parsed = seen(loop, [b"HTTP/1.1 200 OK\r\n\r\n" + body])
    loop.close()
    assert parsed == (200, "", body[:MAX_BODY_BYTES])
