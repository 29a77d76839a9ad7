"""The SPDY codec: what is written is read, in whatever pieces, and garbage is an error."""

import hashlib
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from log_server.spdy.dictionary import DICTIONARY
from log_server.spdy.frames import (
    MAX_CONTROL_BYTES,
    MAX_HEADER_BYTES,
    Data,
    Frame,
    FrameError,
    FrameReader,
    FrameWriter,
    GoAway,
    Ping,
    Reset,
    ResetStatus,
    SynReply,
    SynStream,
    WindowUpdate,
)

NAMES = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=20)
HEADERS = st.dictionaries(NAMES, st.text(max_size=100), max_size=8)
STREAMS = st.integers(1, (1 << 31) - 1)


def read(data: bytes, sizes: list[int] | None = None) -> list[Frame]:
    """Feed it in pieces of these sizes, then the rest."""
    reader, frames = FrameReader(), list[Frame]()
    for size in (*(sizes or ()), len(data)):
        piece, data = data[:size], data[size:]
        frames += reader.feed(piece)
    return frames


def read_until_broken(pieces: list[bytes]) -> tuple[list[Frame], str]:
    """What is read before the first error, the data of a frame put together, and that error."""
    reader, frames = FrameReader(), list[Frame]()
    try:
        for piece in pieces:
            for frame in reader.feed(piece):
                append(frames, frame)
            assert len(reader._buffer) < 8 + MAX_CONTROL_BYTES
    except FrameError as error:
        return frames, str(error)
    return frames, ""


def append(frames: list[Frame], frame: Frame) -> None:
    last = frames[-1] if frames else None
    match last, frame:
        case Data(fin=False), Data() if last.stream == frame.stream:
            data = last.data + frame.data
            frames[-1] = Data(stream=last.stream, data=data, fin=frame.fin)
        case _:
            frames.append(frame)


def test_the_dictionary_is_the_protocols() -> None:
    digest = "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"
    assert hashlib.sha256(DICTIONARY).hexdigest() == digest


@given(
    st.lists(st.tuples(STREAMS, HEADERS, st.booleans()), max_size=5), st.lists(st.integers(1, 9))
)
def test_streams_are_read_as_written_in_any_pieces(
    streams: list[tuple[int, dict[str, str], bool]], sizes: list[int]
) -> None:
    writer = FrameWriter()
    written = b"".join(writer.syn_stream(n, headers, fin=fin) for n, headers, fin in streams)
    wanted = [SynStream(stream=n, headers=headers, fin=fin) for n, headers, fin in streams]
    assert read(written, sizes) == wanted


@given(
    stream=STREAMS,
    data=st.binary(max_size=300),
    sizes=st.lists(st.integers(1, 50)),
    fin=st.booleans(),
)
def test_data_is_read_as_written_in_any_pieces(
    *, stream: int, data: bytes, sizes: list[int], fin: bool
) -> None:
    written = FrameWriter().data(stream, data, fin=fin)
    frames = read(written, sizes)
    assert b"".join(each.data for each in frames if isinstance(each, Data)) == data
    assert [each.fin for each in frames if isinstance(each, Data)][-1] == fin


def test_the_small_frames_are_read_as_written() -> None:
    writer = FrameWriter()
    written = writer.syn_reply(3) + writer.reset(5, ResetStatus.CANCEL) + writer.ping(7)
    written += writer.window_update(9, 11) + writer.go_away(13)
    assert read(written) == [
        SynReply(stream=3, headers={}),
        Reset(stream=5, status=ResetStatus.CANCEL),
        Ping(number=7),
        WindowUpdate(stream=9, delta=11),
        GoAway(last_stream=13),
    ]


@settings(max_examples=500)
@given(st.lists(st.binary(max_size=200), max_size=5))
@example([b"\x80\x03\x00\x01\x00\x00\x00\x00"])
@example([b"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00"])
@example([b"\x80\x03\x00\x06\x00\x00\x00\x00"])
def test_garbage_is_the_same_frames_and_the_same_error_in_any_pieces(pieces: list[bytes]) -> None:
    assert read_until_broken(pieces) == read_until_broken([b"".join(pieces)])


@settings(max_examples=300)
@given(st.binary(max_size=100), st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_frame_takes_nothing_from_those_before_it(
    rest: bytes, at: int, value: int
) -> None:
    writer = FrameWriter()
    headers = {"streamtype": "error", "port": "80"}
    whole = writer.ping(7) + writer.syn_stream(1, headers)
    damaged = bytearray(writer.syn_stream(3, headers))
    damaged[at % len(damaged)] = value
    frames, error = read_until_broken([whole, bytes(damaged) + rest])
    assert frames[:2] == [Ping(number=7), SynStream(stream=1, headers=headers)]
    assert read_until_broken([whole + bytes(damaged) + rest]) == (frames, error)


def test_what_would_take_memory_is_refused() -> None:
    too_long = b"\x80\x03\x00\x01" + (MAX_CONTROL_BYTES + 1).to_bytes(4)
    with pytest.raises(FrameError, match="control frame of"):
        read(too_long)
    packing = zlib.compressobj(zdict=DICTIONARY)
    bomb = packing.compress(bytes(MAX_HEADER_BYTES * 50)) + packing.flush(zlib.Z_SYNC_FLUSH)
    body = b"\x00\x00\x00\x01" + bytes(6) + bomb
    with pytest.raises(FrameError, match="headers of more than"):
        read(b"\x80\x03\x00\x01" + len(body).to_bytes(4) + body)
