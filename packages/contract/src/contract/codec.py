"""Bytes to messages and back: JSON with a tag, one decoder per type, made once."""

from functools import cache

import msgspec

from contract.errors import DecodeError
from contract.messages.form import Message

_ENCODER = msgspec.json.Encoder()


def encode(value: msgspec.Struct) -> bytes:
    """Return the JSON of a message or of a part of one. Equal values give equal bytes."""
    return _ENCODER.encode(value)


@cache
def _decoder(kind: type[Message]) -> msgspec.json.Decoder[Message]:
    return msgspec.json.Decoder(kind)


def decode[M: Message](kind: type[M], data: bytes) -> M:
    """Return the message that these bytes are, or raise `DecodeError`."""
    try:
        message = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error
    assert isinstance(message, kind)
    return message
