"""Delays between tries, and lines cut from chunks: the pure parts of the watch loop."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubekit.backoff import Backoff
from kubekit.errors import MalformedAnswerError
from kubekit.lines import LineSplitter


def test_delays_double_up_to_half_a_minute() -> None:
    least, most = Backoff(lambda: 0.0), Backoff(lambda: 1.0)
    assert [least.delay_s(0) for _ in range(7)] == [0.8, 1.6, 3.2, 6.4, 12.8, 15, 15]
    assert [most.delay_s(0) for _ in range(7)] == [1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_every_delay_lies_between_the_bounds(randoms: list[float]) -> None:
    values = iter(randoms)
    backoff = Backoff(lambda: next(values))
    for _ in randoms:
        assert 0.8 <= backoff.delay_s(0) <= 30


def test_the_server_may_ask_for_longer_but_not_for_less() -> None:
    backoff = Backoff(lambda: 0.0)
    assert backoff.delay_s(0, retry_after_s=60) == 60
    assert backoff.delay_s(0, retry_after_s=0.1) == 1.6


def test_it_starts_over_after_a_reset_or_a_quiet_time() -> None:
    backoff = Backoff(lambda: 0.0, reset_after_s=120)
    for _ in range(5):
        backoff.delay_s(0)
    assert backoff.delay_s(120) == 15
    assert backoff.delay_s(241) == 0.8
    backoff.delay_s(241)
    backoff.reset()
    assert backoff.delay_s(241) == 0.8


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_where_the_chunks_end(stream: bytes, cuts: list[int]) -> None:
    splitter = LineSplitter()
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    lines: list[bytes] = []
    for start, end in itertools.pairwise(edges):
        lines += splitter.feed(stream[start:end])
    rest = splitter.rest()

    *whole, last = stream.split(b"\n")
    assert lines == [line for line in whole if line.strip()]
    assert rest == last


def test_a_line_without_end_is_given_up() -> None:
    splitter = LineSplitter(max_line_bytes=10)
    splitter.feed(b"12345\n1234567890")
    with pytest.raises(MalformedAnswerError, match="longer than 10"):
        splitter.feed(b"1")
