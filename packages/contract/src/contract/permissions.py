"""Who may say and hear what on the bus, derived from the table of subjects.

Each service is a NATS user of its own; an executor is one user per node and may name only its own
node. Answers go to an inbox that only its owner may read.
"""

from typing import Final

import msgspec

from contract.ids import EVERY_NODE, NodeName, node_token
from contract.messages.form import Command
from contract.subjects import ROUTES, Role, subscription_for

RESPONSE_EXPIRY_S: Final = 60
"""How long a request may wait for its answer: more than the longest poll of a log."""


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What one NATS user may do. A response is allowed once per request."""

    user: str
    inbox_prefix: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    response_expiry_s: int = RESPONSE_EXPIRY_S


def user_name(role: Role, node: NodeName | None = None) -> str:
    """Return the NATS user of a service; an executor's carries its node."""
    if role is not Role.WASM_EXECUTOR:
        return role.value
    assert node is not None, "an executor is a user of one node"
    return f"{role.value}-{node_token(node)}"


def inbox_prefix(user: str) -> str:
    """Return the prefix of this user's inboxes, one token deep."""
    return f"_INBOX_{user}"


def permissions(role: Role, node: NodeName | None = None) -> Permissions:
    """Return what this service may do; for an executor, on its own node alone."""
    scope = node if role is Role.WASM_EXECUTOR and node is not None else EVERY_NODE
    user = user_name(role, node)
    speaks: set[str] = set()
    hears: set[str] = {f"{inbox_prefix(user)}.>"}
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
