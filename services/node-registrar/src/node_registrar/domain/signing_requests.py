"""Which requests for certificates of kubelets are approved: those of our own Nodes.

A serving certificate is approved where the request names exactly one Node that an executor holds,
with no name or address but those that the Node shows, and was asked by that node itself: by its own
identity, or by the pod of its machine. A client certificate, which is that identity, is approved
for a machine that shows the token of its enrolment, and for who has one and renews it. Nothing is
ever denied, because real kubelets' requests lie in the same list.

What a request says by itself is judged first: most are others', and cost no look at any Node.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import EVERY_NODE, NO_NODE, NodeName, node_token
from node_registrar.domain.admission import is_of_machine
from node_registrar.domain.granting import INCARNATION
from node_registrar.domain.node_view import NodeView

NODE_USER: Final = "system:node:"
NODES_GROUP: Final = "system:nodes"
ENROLLED_GROUP: Final = "system:bootstrappers:wasmlet:"
"""With the node's name behind it, a colon for each dot: the group of one enrolment's token."""
_SERVING: Final = frozenset({"digital signature", "server auth"})
_CLIENT: Final = frozenset({"digital signature", "client auth"})
_MORE_USAGES: Final = frozenset({"key encipherment"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request: what it is for, and who made it."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    other_names: bool
    """Whether it asks for names of any other kind."""
    usages: frozenset[str]
    username: str
    groups: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]] = {}

    @property
    def node(self) -> NodeName | None:
        """The Node that it claims to be of, None where no Node can have that name."""
        name = NodeName(self.common_name.removeprefix(NODE_USER))
        if self.common_name != f"{NODE_USER}{name}" or name in (EVERY_NODE, NO_NODE):
            return None
        try:
            node_token(name)
        except InvalidTokenError:
            return None
        return name


class Askers(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask for a node, but the node itself."""

    service_account: str
    """`NAMESPACE:NAME` of the pods on the nodes' machines; empty: none."""
    host_prefix: str


def reason_in(asked: Asked, askers: Askers) -> str | None:
    """Return why no Node could make this serving certificate approved, None where one could."""
    if not _is_of_a_node(asked):
        return "the subject is no node's"
    if not _SERVING <= asked.usages <= _SERVING | _MORE_USAGES:
        return "the usages are not a server's"
    if asked.other_names or not asked.addresses:
        return "the names are not those of a kubelet"
    return None if _is_asked_by_node(asked, askers) else "it was asked by somebody else"


def reason_against(asked: Asked, node: NodeView | None, askers: Askers) -> str | None:
    """Return why this serving certificate is not approved, None when it is."""
    if reason := reason_in(asked, askers):
        return reason
    if node is None or not _is_ours(node) or node.metadata.name != asked.node:
        return "the Node is not ours"
    return _reason_against_names(asked, node)


def reason_in_client(asked: Asked) -> str | None:
    """Return why no Node could make this client certificate approved, None where one could."""
    if not _is_of_a_node(asked):
        return "the subject is no node's"
    if not _CLIENT <= asked.usages <= _CLIENT | _MORE_USAGES:
        return "the usages are not a client's"
    if asked.dns_names or asked.addresses or asked.other_names:
        return "it asks for names"
    is_renewed = asked.username == asked.common_name and NODES_GROUP in asked.groups
    return None if is_renewed or _is_enrolled(asked) else "it was asked by somebody else"


def reason_against_client(asked: Asked, node: NodeView | None) -> str | None:
    """Return why this client certificate is not approved, None when it is."""
    if reason := reason_in_client(asked):
        return reason
    if node is not None and not _is_ours(node):
        return "the Node is not ours"
    return None if node is not None or _is_enrolled(asked) else "the Node is not there"


def _is_ours(node: NodeView) -> bool:
    return INCARNATION in node.metadata.annotations


def _is_enrolled(asked: Asked) -> bool:
    return f"{ENROLLED_GROUP}{(asked.node or '').replace('.', ':')}" in asked.groups


def _is_of_a_node(asked: Asked) -> bool:
    return asked.node is not None and asked.organizations == (NODES_GROUP,)


def _is_asked_by_node(asked: Asked, askers: Askers) -> bool:
    if asked.username == asked.common_name:
        return NODES_GROUP in asked.groups
    if not askers.service_account or asked.node is None:
        return False
    is_pod = asked.username == f"system:serviceaccount:{askers.service_account}"
    return is_pod and is_of_machine(asked.node, askers.host_prefix, asked.extra)


def _reason_against_names(asked: Asked, node: NodeView) -> str | None:
    shown = {
        str(each.get("address", ""))
        for each in node.status.get("addresses") or ()
        if each.get("type") in {"InternalIP", "ExternalIP", "Hostname"}
    }
    if not set(asked.dns_names) <= shown | {node.metadata.name}:
        return "a name is not the Node's"
    if not set(asked.addresses) <= shown:
        return "an address is not the Node's"
    return None
