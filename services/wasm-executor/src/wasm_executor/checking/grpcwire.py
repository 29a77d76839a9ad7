"""The bytes of a gRPC health check and the names of its codes."""

import struct
from enum import IntEnum
from typing import Final

import msgspec

from wasm_executor.checking.errors import MessageMalformedError

PATH: Final = "/grpc.health.v1.Health/Check"
_VARINT_BITS: Final = 64
SERVING: Final = 1
_STATUS_NAMES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_NO_MESSAGE: Final = (
    "cardinality violation: received no response message from non-server-streaming RPC"
)
_MORE_MESSAGES: Final = (
    "cardinality violation: expected <EOF> for non server-streaming RPCs, "
    "but received another message"
)
_NO_PROTOBUF: Final = (
    "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data"
)
_PREFIX: Final = struct.Struct(">?I")
_SERVICE_TAG: Final = 0x0A  # field 1, length-delimited
_STATUS_TAG: Final = 0x08  # field 1, varint
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Code(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def title(self) -> str:
        """As gRPC for Go prints it."""
        words = self.name.split("_")
        return "".join(word.capitalize() if word != "OK" else word for word in words)


HTTP_CODES: Final = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}
"""What a proxy's answer means to a gRPC client; anything else is UNKNOWN."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    code: Code
    text: str = ""
    status: int = 0
    """Of what was asked about, where the call is OK."""


def health_question(service: str) -> bytes:
    """A framed HealthCheckRequest."""
    name = service.encode()
    body = bytes((_SERVICE_TAG,)) + _varint(len(name)) + name if name else b""
    return _PREFIX.pack(False, len(body)) + body


def unframed(data: bytes) -> bytes:
    """The one message of a unary answer."""
    if not data:
        raise MessageMalformedError(_NO_MESSAGE)
    if len(data) < _PREFIX.size:
        raise MessageMalformedError("unexpected EOF")
    compressed, size = _PREFIX.unpack_from(data)
    if compressed:
        raise MessageMalformedError("grpc: compressed flag set with identity or empty encoding")
    body = data[_PREFIX.size :]
    if len(body) != size:
        raise MessageMalformedError("unexpected EOF" if len(body) < size else _MORE_MESSAGES)
    return body


def serving_status(message: bytes) -> int:
    """`status` of a HealthCheckResponse; UNKNOWN where it is not said."""
    status, at = 0, 0
    try:
        while at < len(message):
            tag, at = _read_varint(message, at)
            if tag == _STATUS_TAG:
                status, at = _read_varint(message, at)
            else:
                at = _skipped(message, at, tag & 7)
    except (IndexError, KeyError, ValueError) as error:
        raise MessageMalformedError(_NO_PROTOBUF) from error
    if at > len(message):
        raise MessageMalformedError(_NO_PROTOBUF)
    return status


def status_name(status: int) -> str:
    return _STATUS_NAMES[status] if status < len(_STATUS_NAMES) else str(status)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while shift < _VARINT_BITS:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the eighth bit says that more follow
            return value, at
        shift += 7
    raise ValueError(at)


def _skipped(data: bytes, at: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _read_varint(data, at)[1]
    if wire_type == _BYTES:
        size, at = _read_varint(data, at)
        return at + size
    return at + {_FIXED64: 8, _FIXED32: 4}[wire_type]
