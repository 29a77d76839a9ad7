"""One word that is all a machine needs to join: where the cluster is, and what proves the machine.

It is given by an administrator and shown once. What the bus is shown is made from it, for each
service another, so that a stolen executor's does not make a log-server.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import zlib
from typing import Final

import msgspec

from contract.ids import NodeName
from contract.permissions import OF_ONE_NODE, user_name
from contract.subjects import Role
from wasmlet.errors import UsageError

_FORM: Final = "wasmlet1."
_LARGEST: Final = 1024 * 1024
"""Of what is in a word: whoever made one up shall not fill the memory of the machine."""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the word."""

    node: NodeName
    server: str
    """Of the API, `https://...`."""
    authority: str
    """The cluster's CA, as PEM; empty: one that every machine knows."""
    token: str
    """A bootstrap token, `ID.SECRET`: for an hour, the right to ask for this node's identity."""
    nats_url: str
    nats_authority: str = ""
    """The CA of the bus, as PEM; empty: it speaks no TLS."""
    bus_secret: str

    def __repr__(self) -> str:
        return f"Enrolment(node={self.node!r})"

    def word(self) -> str:
        """Return it as one word."""
        packed = zlib.compress(msgspec.json.encode(self), 9)
        return _FORM + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def credential(self, role: Role) -> str:
        """Return what this service of the machine shows on the bus."""
        user = user_name(role, self.node)
        return hmac.digest(self.bus_secret.encode(), user.encode(), "sha256").hex()

    def digests(self, end: dt.datetime) -> dict[str, str]:
        """Return what the registrar keeps of it, by bus user: no credential.

        The machine has to come for the first time before the end.
        """
        digests = {
            user_name(role, self.node): hashlib.sha256(self.credential(role).encode())
            for role in OF_ONE_NODE
        }
        return {user: f"{each.hexdigest()} {timestamp(end)}" for user, each in digests.items()}


def timestamp(time: dt.datetime) -> str:
    """Return it as Kubernetes writes one."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_word(text: str) -> Enrolment:
    """Return what `word` made into this; raises `UsageError` without repeating it."""
    body = text.strip().removeprefix(_FORM)
    try:
        packed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        raw = zlib.decompressobj().decompress(packed, _LARGEST)
        return msgspec.json.decode(raw, type=Enrolment)
    except (ValueError, binascii.Error, zlib.error, msgspec.MsgspecError):
        raise UsageError("this is no whole word of `wasmlet node enrol`") from None
