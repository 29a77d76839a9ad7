"""Bytes to messages and back: JSON with a tag, one decoder per type, made once.

Bulk (logs, byte streams) is not put into the JSON: as base64 it would be a third longer on each of
its ways, and coded twice. It follows behind a NUL, which no JSON contains. A message that has it
inside is read all the same.
"""

from functools import cache
from typing import Final

import msgspec

from contract.errors import DecodeError
from contract.messages.form import Message

_ENCODER = msgspec.json.Encoder()
_BULK_FOLLOWS: Final = b"\0"


def encode(value: msgspec.Struct) -> bytes:
    """Return the JSON of a message or of a part of one. Equal values give equal bytes."""
    if isinstance(value, Message) and value.bulk_field:
        return _with_bulk(value)
    return _ENCODER.encode(value)


def _with_bulk(message: Message) -> bytes:
    bulk: bytes = getattr(message, message.bulk_field)
    if not bulk:
        return _ENCODER.encode(message)
    head = _ENCODER.encode(msgspec.structs.replace(message, **{message.bulk_field: b""}))
    return b"".join((head, _BULK_FOLLOWS, bulk))


@cache
def _decoder(kind: type[Message]) -> msgspec.json.Decoder[Message]:
    return msgspec.json.Decoder(kind)


def decode[M: Message](kind: type[M], data: bytes) -> M:
    """Return the message that these bytes are, or raise `DecodeError`."""
    head, bulk = data, b""
    if kind.bulk_field:
        head, _, bulk = data.partition(_BULK_FOLLOWS)
    try:
        message = _decoder(kind).decode(head)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error
    assert isinstance(message, kind)
    if bulk:  # nobody else has seen it yet
        msgspec.structs.force_setattr(message, kind.bulk_field, bulk)
    return message
