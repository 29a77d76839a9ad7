"""Who may say and hear what on the bus, derived from the table of subjects.

Each service is a NATS user of its own; an executor is one user per node and may name only its own
node, and so may a log-server that serves one node alone. Answers go to an inbox that only its owner
may read.
"""

from typing import Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import EVERY_NODE, NO_NODE, NodeName, node_of_token, node_token
from contract.messages.form import Command
from contract.subjects import ROUTES, Role, subscription_for

RESPONSE_EXPIRY_S: Final = 60
"""How long a request may wait for its answer: more than the longest poll of a log."""

ADMISSION: Final = "$SYS.REQ.USER.AUTH"
"""On which nats-server asks whether a connection is let in (its auth callout). Tokens travel on it,
so nobody but the registrar hears it, and nobody but a server can speak on it."""

OF_ONE_NODE: Final = (Role.WASM_EXECUTOR, Role.LOG_SERVER)
"""The services that may be a user of one node."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What one NATS user may do. A response is allowed once per request."""

    user: str
    inbox_prefix: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    response_expiry_s: int = RESPONSE_EXPIRY_S


def user_name(role: Role, node: NodeName | None = None) -> str:
    """Return the NATS user of a service; that of one node's service carries the node."""
    if node is None or role not in OF_ONE_NODE:
        assert role is not Role.WASM_EXECUTOR, "an executor is a user of one node"
        return role.value
    return f"{role.value}-{node_token(node)}"


def user_of_one_node(user: str) -> tuple[Role, NodeName]:
    """Return what `user_name` made into this name; raises `InvalidTokenError` for any other."""
    for role in OF_ONE_NODE:
        prefix = f"{role.value}-"
        if user.startswith(prefix):
            node = node_of_token(user.removeprefix(prefix))
            if node != NO_NODE and user_name(role, node) == user:
                return role, node
    raise InvalidTokenError("user of a node", user)


def inbox_prefix(user: str) -> str:
    """Return the prefix of this user's inboxes, one token deep."""
    return f"_INBOX_{user}"


def permissions(role: Role, node: NodeName | None = None) -> Permissions:
    """Return what this service may do; with a node, on this node alone."""
    scope = node if role in OF_ONE_NODE and node is not None else EVERY_NODE
    user = user_name(role, node)
    speaks: set[str] = set()
    hears: set[str] = {f"{inbox_prefix(user)}.>"}
    if role is Role.NODE_REGISTRAR:
        hears.add(ADMISSION)
    for kind, route in ROUTES.items():
        if role in route.speakers:
            speaks.add(subscription_for(kind, scope))
        if role in route.listeners:
            hears.add(subscription_for(kind, scope))
    return Permissions(
        user=user,
        inbox_prefix=inbox_prefix(user),
        publish=tuple(sorted(speaks)),
        subscribe=tuple(sorted(hears)),
    )


def serves_requests(role: Role) -> bool:
    """Say whether this service answers any command, and so needs leave to respond."""
    return any(
        role in route.listeners and issubclass(kind, Command) for kind, route in ROUTES.items()
    )
