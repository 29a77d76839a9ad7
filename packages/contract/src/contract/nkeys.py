"""NATS' text form of public keys and seeds ("nkeys"): base32 of a prefix, the key and a checksum.

Only the form, no cryptography. https://docs.nats.io says what the letters mean: A an account, U a
user, N a server, and S in front of another letter a seed, which is a private key.
"""

import base64
import binascii
from typing import Final

from contract.errors import InvalidTokenError

PREFIX_ACCOUNT: Final = 0
PREFIX_USER: Final = 20 << 3
_PREFIX_SEED: Final = 18 << 3
_KEY_BYTES: Final = 32
_CRC_BYTES: Final = 2


def public_text(prefix: int, key: bytes) -> str:
    """Return the text of a public key."""
    return _text(bytes([prefix]) + key)


def seed_text(prefix: int, seed: bytes) -> str:
    """Return the text of a seed; the prefix is that of its public key, split over two bytes."""
    return _text(bytes([_PREFIX_SEED | prefix >> 5, (prefix & 0x1F) << 3]) + seed)


def account_seed(text: str) -> bytes:
    """Return the 32 bytes of an account's seed; raises `InvalidTokenError`, without the text."""
    padded = text + "=" * (-len(text) % 8)
    try:
        raw = base64.b32decode(padded)
    except (ValueError, binascii.Error) as error:
        raise InvalidTokenError("account seed", "what was given") from error
    body, checksum = raw[:-_CRC_BYTES], raw[-_CRC_BYTES:]
    head = bytes([_PREFIX_SEED | PREFIX_ACCOUNT >> 5, (PREFIX_ACCOUNT & 0x1F) << 3])
    if not body.startswith(head) or len(body) != len(head) + _KEY_BYTES or _crc(body) != checksum:
        raise InvalidTokenError("account seed", "what was given")
    return body[len(head) :]


def _text(body: bytes) -> str:
    return base64.b32encode(body + _crc(body)).decode("ascii").rstrip("=")


def _crc(body: bytes) -> bytes:
    return binascii.crc_hqx(body, 0).to_bytes(_CRC_BYTES, "little")
