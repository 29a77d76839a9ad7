"""Names that travel in subjects and messages, and the proof that they may.

A token of a subject accepts `[A-Za-z0-9_-]`. Kubernetes names hold dots and no underscore, so a
dot of a node name becomes an underscore and comes back unharmed.
"""

import re
from typing import Final, NewType

from contract.errors import InvalidTokenError

NodeName = NewType("NodeName", str)
PodUid = NewType("PodUid", str)
ContainerName = NewType("ContainerName", str)

EVERY_NODE: Final = NodeName("*")
"""Subscribes to all nodes; never published to."""

NO_NODE: Final = NodeName("_")
"""Stands in subjects that concern no single node. No Kubernetes name can be it."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,253}")
_NODE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def node_token(node: NodeName) -> str:
    """Return the subject token of a node name, `EVERY_NODE` and `NO_NODE` included."""
    if node in (EVERY_NODE, NO_NODE):
        return node
    if not _NODE_NAME.fullmatch(node) or ".." in node:
        raise InvalidTokenError("node name", node)
    return node.replace(".", "_")


def node_of_token(token: str) -> NodeName:
    """Return the node name that `node_token` made into this token."""
    if token == NO_NODE:
        return NO_NODE
    name = token.replace("_", ".")
    if not _NODE_NAME.fullmatch(name) or ".." in name:
        raise InvalidTokenError("node token", token)
    return NodeName(name)


def id_token(value: str) -> str:
    """Return the value when it may stand as the last token of a subject."""
    if not _TOKEN.fullmatch(value):
        raise InvalidTokenError("subject token", value)
    return value
