"""What NATS' auth callout asks and is answered: JWTs signed with the account's nkey.

Only nats-server speaks on the callout's subject, and nobody else may, so the question's own
signature is not checked: it would prove nothing, as any server makes its own key. The answer names
the server and the one-time key of the question; for any other it is worth nothing.
"""

import base64
import secrets
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.errors import InvalidTokenError
from contract.nkeys import PREFIX_ACCOUNT, account_seed, public_text
from contract.permissions import Permissions
from node_registrar.errors import IssuerError, UnreadableQuestionError

_HEADER: Final = msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"})
_ACCOUNT: Final = "$G"
"""Where users without accounts are, those of the configuration among them."""
_NANOSECONDS: Final = 1_000_000_000


class _Server(msgspec.Struct, frozen=True):
    id: str


class _Login(msgspec.Struct, frozen=True):
    user: str = ""
    password: str = msgspec.field(name="pass", default="")


class _Client(msgspec.Struct, frozen=True):
    host: str = ""


class _Asked(msgspec.Struct, frozen=True):
    server_id: _Server
    user_nkey: str
    connect_opts: _Login = _Login()
    client_info: _Client = _Client()


class _Claims(msgspec.Struct, frozen=True):
    nats: _Asked


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to be let in by which server."""

    server: str
    key: str
    user: str
    credential: str
    host: str

    def __repr__(self) -> str:
        # The credential must not reach a log or a traceback by way of repr.
        return f"Question(user={self.user!r}, host={self.host!r})"


def question(text: bytes) -> Question:
    """Read what the server asks; raises `UnreadableQuestionError`."""
    try:
        payload = text.split(b".")[1]
        padded = payload + b"=" * (-len(payload) % 4)
        asked = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).nats
    except (IndexError, ValueError, msgspec.MsgspecError) as error:
        raise UnreadableQuestionError(type(error).__name__) from None
    return Question(
        server=asked.server_id.id,
        key=asked.user_nkey,
        user=asked.connect_opts.user,
        credential=asked.connect_opts.password,
        host=asked.client_info.host,
    )


class Issuer:
    """Signs who is let in, in the name of the account that the server's configuration names."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes_raw()
        self.public: Final = public_text(PREFIX_ACCOUNT, public)

    @classmethod
    def read(cls, file: Path) -> "Issuer":
        """Read the seed; raises `IssuerError`."""
        try:
            return cls(account_seed(file.read_text("ascii").strip()))
        except (OSError, ValueError, InvalidTokenError) as error:
            raise IssuerError(f"the bus issuer's seed cannot be used: {error}") from None

    def admit(self, asked: Question, rights: Permissions, lifetime_s: float) -> bytes:
        """Return the answer that lets somebody in, for this long; 0 stands for no end."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "aud": _ACCOUNT,
            "sub": asked.key,
            "name": rights.user,
            "nats": {**_rights(rights), "type": "user", "version": 2},
        }
        if lifetime_s:
            claims["exp"] = now + int(lifetime_s)
        return self._response(asked, {"jwt": self._signed(claims, now)}, now)

    def refuse(self, asked: Question) -> bytes:
        """Return the answer that lets nobody in. It says no reason: the server logs it."""
        return self._response(asked, {"error": "refused"}, int(time.time()))

    def _response(self, asked: Question, what: dict[str, str], now: int) -> bytes:
        claims = {
            "aud": asked.server,
            "sub": asked.key,
            "nats": {**what, "type": "authorization_response", "version": 2},
        }
        return self._signed(claims, now).encode("ascii")

    def _signed(self, claims: dict[str, Any], now: int) -> str:
        own = {"jti": secrets.token_hex(16), "iat": now, "iss": self.public}
        text = f"{_part(_HEADER)}.{_part(msgspec.json.encode({**own, **claims}))}"
        return f"{text}.{_part(self._key.sign(text.encode('ascii')))}"


def _rights(rights: Permissions) -> dict[str, Any]:
    ttl = rights.response_expiry_s * _NANOSECONDS
    return {
        "pub": {"allow": rights.publish},
        "sub": {"allow": rights.subscribe},
        "resp": {"max": 1, "ttl": ttl},
        "subs": -1,
        "data": -1,
        "payload": -1,
    }


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
