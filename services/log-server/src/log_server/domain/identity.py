"""Who makes a request, by the rules of the kubelet: a certificate first, then a bearer token."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

AUTHENTICATED_GROUP: Final = "system:authenticated"
UNAUTHENTICATED_GROUP: Final = "system:unauthenticated"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated identity, with all that a SubjectAccessReview takes."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class PeerCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A client certificate that the handshake has verified."""

    common_name: str
    organizations: tuple[str, ...]
    not_after: float
    """Seconds since the epoch. A connection may outlive its certificate."""


def peer_certificate(decoded: dict[str, Any], not_after: float) -> PeerCertificate:
    """Return what counts of a certificate as the ssl module decodes it.

    Of several common names the last counts, as in Go.
    """
    names = [pair for rdn in decoded.get("subject", ()) for pair in rdn]
    common = [value for key, value in names if key == "commonName"]
    return PeerCertificate(
        common_name=common[-1] if common else "",
        organizations=tuple(value for key, value in names if key == "organizationName"),
        not_after=not_after,
    )


def user_of_certificate(peer: PeerCertificate | None, now: float) -> User | None:
    """Return the user of a client certificate: CN the name, O the groups; None when it has none."""
    if peer is None or not peer.common_name or now > peer.not_after:
        return None
    return with_authenticated_group(User(name=peer.common_name, groups=peer.organizations))


def with_authenticated_group(user: User) -> User:
    """Add the group that every authenticated user is in, as the kubelet does."""
    if AUTHENTICATED_GROUP in user.groups or UNAUTHENTICATED_GROUP in user.groups:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, AUTHENTICATED_GROUP))


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of the first Authorization header, if it is a bearer token."""
    value = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, rest = value.decode("latin-1").strip().partition(" ")
    token = rest.partition(" ")[0]
    return token if scheme.lower() == "bearer" and token else None
