"""Which requests for certificates of kubelets are approved: those of our own Nodes.

A serving certificate is approved where the request names exactly one Node that an executor holds,
with no name or address but those that the Node shows, and was asked by that node itself: by its own
identity, or by the pod of its machine. A client certificate, which is that identity, is approved
for a machine that shows the token of its enrolment, and for who has one and renews it. Nothing is
ever denied, because real kubelets' requests lie in the same list.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from node_registrar.domain.admission import NODE_OF_TOKEN
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
    def node(self) -> str:
        """The Node that it claims to be of, empty for none."""
        name = self.common_name.removeprefix(NODE_USER)
        return name if self.common_name == f"{NODE_USER}{name}" else ""


class Askers(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask for a node, but the node itself."""

    service_account: str
    """`NAMESPACE:NAME` of the pods on the nodes' machines; empty: none."""
    host_prefix: str


def reason_against(asked: Asked, node: NodeView | None, askers: Askers) -> str | None:
    """Return why this serving certificate is not approved, None when it is."""
    if node is None or INCARNATION not in node.metadata.annotations:
        return "the Node is not ours"
    if not _is_of_a_node(asked) or node.metadata.name != asked.node:
        return "the subject is no node's"
    if not _SERVING <= asked.usages <= _SERVING | _MORE_USAGES:
        return "the usages are not a server's"
    if not _is_asked_by_node(asked, askers):
        return "it was asked by somebody else"
    return _reason_against_names(asked, node)


def reason_against_client(asked: Asked, node: NodeView | None) -> str | None:
    """Return why this client certificate is not approved, None when it is."""
    if not _is_of_a_node(asked):
        return "the subject is no node's"
    if not _CLIENT <= asked.usages <= _CLIENT | _MORE_USAGES:
        return "the usages are not a client's"
    if asked.dns_names or asked.addresses or asked.other_names:
        return "it asks for names"
    if node is not None and INCARNATION not in node.metadata.annotations:
        return "the Node is not ours"
    if f"{ENROLLED_GROUP}{asked.node.replace('.', ':')}" in asked.groups:
        return None
    renewed = node is not None and asked.username == asked.common_name
    return None if renewed and NODES_GROUP in asked.groups else "it was asked by somebody else"


def _is_of_a_node(asked: Asked) -> bool:
    return bool(asked.node) and asked.organizations == (NODES_GROUP,)


def _is_asked_by_node(asked: Asked, askers: Askers) -> bool:
    if asked.username == asked.common_name:
        return NODES_GROUP in asked.groups
    if not askers.service_account:
        return False
    machines = asked.extra.get(NODE_OF_TOKEN, ())
    return asked.username == f"system:serviceaccount:{askers.service_account}" and [
        f"{askers.host_prefix}{machine}" for machine in machines
    ] == [asked.node]


def _reason_against_names(asked: Asked, node: NodeView) -> str | None:
    shown = {
        str(each.get("address", ""))
        for each in node.status.get("addresses") or ()
        if each.get("type") in {"InternalIP", "ExternalIP", "Hostname"}
    }
    if asked.other_names or not asked.addresses:
        return "the names are not those of a kubelet"
    if not set(asked.dns_names) <= shown | {node.metadata.name}:
        return "a name is not the Node's"
    if not set(asked.addresses) <= shown:
        return "an address is not the Node's"
    return None
