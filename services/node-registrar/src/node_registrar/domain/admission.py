"""Who is let onto the bus as the executor or the log-server of one node.

A credential is either the token of a pod, which the API server reviewed, or the enrolment of a
machine outside the cluster. Each proves one node and one service; everything else is refused, and
so is what nobody could review.
"""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import NodeName
from contract.permissions import user_of_one_node
from contract.subjects import Role

AUDIENCES: Final = {Role.WASM_EXECUTOR: "wasmlet", Role.LOG_SERVER: "wasmlet-log-server"}
"""Of the pod's tokens: one for each service, because both share the pod and its service account."""
NODE_OF_TOKEN: Final = "authentication.kubernetes.io/node-name"  # noqa: S105 - a key
LONGEST: Final = 16 * 1024
"""Of a credential; tokens of service accounts have about 1 KiB."""


class RefusedError(Exception):
    """Let nobody in by this; the text is for our own log."""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody says to be."""

    user: str
    role: Role
    node: NodeName


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """What the API server says of a token."""

    authenticated: bool = False
    username: str = ""
    audiences: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Which pods' tokens count, and for which nodes."""

    service_account: str
    """`NAMESPACE:NAME`; empty: no pod is let in."""
    host_prefix: str
    node_names: Collection[str]
    """Empty: every name."""


def claimed(user: str, credential: str, rules: Rules) -> Claimed:
    """Return who this claims to be; raises `RefusedError` where nobody could be that."""
    try:
        role, node = user_of_one_node(user)
    except InvalidTokenError as error:
        raise RefusedError("not the user of a node's service") from error
    if rules.node_names and node not in rules.node_names:
        raise RefusedError("no node of this registrar")
    if not credential or len(credential) > LONGEST:
        raise RefusedError("no credential")
    return Claimed(user=user, role=role, node=node)


def is_enrolled(credential: str, digest: str | None) -> bool:
    """Say whether this is the enrolment whose digest is known, None where none is."""
    if digest is None:
        return False
    return hmac.compare_digest(digest_of(credential), digest.strip().lower())


def digest_of(credential: str) -> str:
    """Return what is kept of an enrolment. It is random and long, so a plain digest is enough."""
    return hashlib.sha256(credential.encode()).hexdigest()


def refuse_unless_proved(who: Claimed, reviewed: Reviewed, rules: Rules) -> None:
    """Raise `RefusedError` unless the reviewed token is that of this node's pod."""
    if not reviewed.authenticated:
        raise RefusedError("the API server does not know the token")
    if AUDIENCES[who.role] not in reviewed.audiences:
        raise RefusedError("the token is for another audience")
    if reviewed.username != f"system:serviceaccount:{rules.service_account}":
        raise RefusedError("the token is of another service account")
    if not is_of_machine(who.node, rules.host_prefix, reviewed.extra):
        raise RefusedError("the token is of a pod of another machine")


def is_of_machine(node: str, host_prefix: str, extra: Mapping[str, tuple[str, ...]]) -> bool:
    """Say whether a token's `extra` is of a pod of the one machine that the node is beside."""
    machines = extra.get(NODE_OF_TOKEN, ())
    return [f"{host_prefix}{machine}" for machine in machines] == [node]


def looks_like_token(credential: str) -> bool:
    """Say whether it has the form of a token of the API server's."""
    return credential.count(".") == 2  # noqa: PLR2004 - a JWT has three parts
