"""When an image is fetched, and with which credentials."""

from enum import StrEnum

import msgspec


class PullPolicy(StrEnum):
    """`imagePullPolicy`."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class PullKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of an image pull secret, and which Secret that is.

    `location` is what it is for: a host, perhaps with `*` in its labels, or a host and the
    beginning of a path. An identity token counts before a password.
    """

    location: str
    username: str = ""
    password: str = ""
    identity_token: str = ""
    secret_name: str = ""
    secret_uid: str = ""

    def __repr__(self) -> str:
        return f"PullKey(location={self.location!r}, ...)"
