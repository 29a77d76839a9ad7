"""The frames of SPDY/3.1, to bytes and back, without any input or output.

What arrives may be anything: a frame that is none, a header block that is too large or does not
unpack, raises `FrameError`, and nothing is kept beyond one control frame. Data frames are handed
on in the pieces in which they come.
"""

import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import Final

import msgspec

from log_server.errors import LogServerError
from log_server.spdy.dictionary import DICTIONARY

VERSION: Final = 3
MAX_CONTROL_BYTES: Final = 64 * 1024
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_DATA_BYTES: Final = (1 << 24) - 1
_HEAD: Final = 8
_CONTROL: Final = 0x80000000
_STREAM_ID: Final = 0x7FFFFFFF

type Headers = dict[str, str]


class FrameError(LogServerError):
    """These bytes are no SPDY/3.1: break the connection off."""


class FrameType(IntEnum):
    """The control frames."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    HEADERS = 8
    WINDOW_UPDATE = 9


class Flag(IntFlag):
    """What a frame may say beside its content."""

    NONE = 0
    FIN = 1


class ResetStatus(IntEnum):
    """Why a stream is reset."""

    PROTOCOL_ERROR = 1
    REFUSED_STREAM = 3
    CANCEL = 5


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What has arrived."""


class SynStream(Frame, frozen=True, kw_only=True):
    """A stream that the other side opens."""

    stream: int
    headers: Headers
    fin: bool = False


class SynReply(Frame, frozen=True, kw_only=True):
    """The other side takes a stream of ours."""

    stream: int
    headers: Headers
    fin: bool = False


class MoreHeaders(Frame, frozen=True, kw_only=True):
    """Headers that come later."""

    stream: int
    headers: Headers
    fin: bool = False


class Reset(Frame, frozen=True, kw_only=True):
    """A stream that is over at once."""

    stream: int
    status: int


class Ping(Frame, frozen=True, kw_only=True):
    """To be sent back."""

    number: int


class GoAway(Frame, frozen=True, kw_only=True):
    """The other side opens no more streams."""

    last_stream: int


class WindowUpdate(Frame, frozen=True, kw_only=True):
    """Room for more; of the whole connection where the stream is 0."""

    stream: int
    delta: int


class Data(Frame, frozen=True, kw_only=True):
    """A piece of a stream; `fin` says that none follows."""

    stream: int
    data: bytes
    fin: bool = False


class FrameReader:
    """Bytes to frames. One per connection: header blocks depend on those before."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._unpack = zlib.decompressobj(zdict=DICTIONARY)
        self._within: tuple[int, bool, int] | None = None
        """The data frame whose rest is awaited: its stream, whether it is the last, how much."""
        self._moved = False
        """Whether the last look took anything from the buffer."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield each frame that is complete now; raises `FrameError`."""
        self._buffer += data
        while True:
            frame = self._piece() if self._within else self._begin()
            if frame is not None:
                yield frame
            elif not self._moved:
                return

    def _begin(self) -> Frame | None:
        self._moved = False
        if len(self._buffer) < _HEAD:
            return None
        first, second = struct.unpack_from(">II", self._buffer)
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & _CONTROL:
            del self._buffer[:_HEAD]
            self._within = (first & _STREAM_ID, bool(flags & Flag.FIN), length)
            return self._piece()
        if (first >> 16) & 0x7FFF != VERSION:
            raise FrameError("another version of SPDY, or none")
        if length > MAX_CONTROL_BYTES:
            raise FrameError(f"a control frame of {length} bytes")
        if len(self._buffer) < _HEAD + length:
            return None
        body = bytes(self._buffer[_HEAD : _HEAD + length])
        del self._buffer[: _HEAD + length]
        self._moved = True
        return self._control(first & 0xFFFF, bool(flags & Flag.FIN), body)

    def _piece(self) -> Frame | None:
        """Return what is there of a data frame."""
        assert self._within is not None
        stream, fin, awaited = self._within
        piece = bytes(self._buffer[:awaited])
        del self._buffer[: len(piece)]
        awaited -= len(piece)
        self._within = (stream, fin, awaited) if awaited else None
        self._moved = bool(piece) or not awaited
        if not self._moved:
            return None
        return Data(stream=stream, data=piece, fin=fin and not awaited)

    def _control(self, kind: int, fin: bool, body: bytes) -> Frame | None:  # noqa: FBT001 - a flag of the frame
        try:
            return self._understood(kind, fin, body)
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise FrameError(f"a control frame of type {kind} cannot be read: {error}") from error

    def _understood(self, kind: int, fin: bool, body: bytes) -> Frame | None:  # noqa: FBT001 - as above
        match kind:
            case FrameType.SYN_STREAM:
                (stream,) = struct.unpack_from(">I", body)
                struct.unpack_from(">IBB", body, 4)
                headers = self._headers(body[10:])
                return SynStream(stream=stream & _STREAM_ID, headers=headers, fin=fin)
            case FrameType.SYN_REPLY | FrameType.HEADERS:
                (stream,) = struct.unpack_from(">I", body)
                headers = self._headers(body[4:])
                kinds = {FrameType.SYN_REPLY: SynReply, FrameType.HEADERS: MoreHeaders}
                return kinds[FrameType(kind)](stream=stream & _STREAM_ID, headers=headers, fin=fin)
            case _:
                return _plain(kind, body)

    def _headers(self, block: bytes) -> Headers:
        plain = self._unpack.decompress(block, MAX_HEADER_BYTES)
        if self._unpack.unconsumed_tail:
            raise FrameError(f"headers of more than {MAX_HEADER_BYTES} bytes")
        (count,) = struct.unpack_from(">I", plain)
        at, headers = 4, dict[str, str]()
        for _ in range(count):
            name, at = _counted(plain, at)
            value, at = _counted(plain, at)
            headers[name.lower()] = value
        return headers


class FrameWriter:
    """Frames to bytes. Send what it returns in the order in which it was made."""

    def __init__(self) -> None:
        self._packing = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Headers, *, fin: bool = False) -> bytes:
        """Open a stream."""
        body = struct.pack(">IIBB", stream, 0, 0, 0) + self._packed(headers)
        return _control(FrameType.SYN_STREAM, body, Flag.FIN if fin else Flag.NONE)

    def syn_reply(self, stream: int) -> bytes:
        """Take a stream."""
        return _control(FrameType.SYN_REPLY, struct.pack(">I", stream) + self._packed({}))

    def reset(self, stream: int, status: ResetStatus) -> bytes:
        """End a stream at once."""
        return _control(FrameType.RST_STREAM, struct.pack(">II", stream, status))

    def ping(self, number: int) -> bytes:
        """Answer a ping, or ask."""
        return _control(FrameType.PING, struct.pack(">I", number))

    def go_away(self, last_stream: int) -> bytes:
        """Say that no stream follows."""
        return _control(FrameType.GOAWAY, struct.pack(">II", last_stream, 0))

    def window_update(self, stream: int, delta: int) -> bytes:
        """Give room for more."""
        return _control(FrameType.WINDOW_UPDATE, struct.pack(">II", stream, delta))

    def data(self, stream: int, data: bytes, *, fin: bool = False) -> bytes:
        """Send a piece of a stream, at most `MAX_DATA_BYTES`."""
        return struct.pack(">II", stream, (int(fin) << 24) | len(data)) + data

    def _packed(self, headers: Headers) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.encode(), value.encode()):
                plain += struct.pack(">I", len(text)) + text
        return self._packing.compress(plain) + self._packing.flush(zlib.Z_SYNC_FLUSH)


def _plain(kind: int, body: bytes) -> Frame | None:
    """Return a frame without headers; None of one that means nothing here."""
    match kind:
        case FrameType.RST_STREAM:
            stream, status = struct.unpack_from(">II", body)
            return Reset(stream=stream & _STREAM_ID, status=status)
        case FrameType.PING:
            return Ping(number=struct.unpack_from(">I", body)[0])
        case FrameType.GOAWAY:
            return GoAway(last_stream=struct.unpack_from(">I", body)[0] & _STREAM_ID)
        case FrameType.WINDOW_UPDATE:
            stream, delta = struct.unpack_from(">II", body)
            return WindowUpdate(stream=stream & _STREAM_ID, delta=delta & _STREAM_ID)
        case _:
            return None


def _control(kind: FrameType, body: bytes, flags: Flag = Flag.NONE) -> bytes:
    first = _CONTROL | (VERSION << 16) | kind
    return struct.pack(">II", first, (int(flags) << 24) | len(body)) + body


def _counted(plain: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", plain, at)
    text = plain[at + 4 : at + 4 + length]
    if len(text) != length:
        raise FrameError("a header block that ends too soon")
    return text.decode(), at + 4 + length
