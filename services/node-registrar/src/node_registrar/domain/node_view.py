"""A Node as read from the API: for comparing, never for writing back."""

from typing import Any, Final

import msgspec

ADDRESS_TYPES: Final = ("InternalIP", "ExternalIP")


class NodeMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """metadata, as far as the registrar looks at it."""

    name: str
    uid: str
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[dict[str, Any], ...] = ()


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a Node. `spec` and `status` are the object's own JSON."""

    metadata: NodeMeta
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """The address that the Node shows, empty without one."""
        for address in self.status.get("addresses") or ():
            if address.get("type") in ADDRESS_TYPES:
                return str(address.get("address", ""))
        return ""

    @property
    def kubelet_port(self) -> int:
        """The port that the Node shows, 0 without one."""
        endpoint = (self.status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        return int(endpoint.get("Port") or 0)

    @property
    def kubelet_version(self) -> str:
        """The kubelet that last wrote this Node."""
        return str((self.status.get("nodeInfo") or {}).get("kubeletVersion", ""))

    def conditions(self) -> dict[str, dict[str, Any]]:
        """Return the conditions by type."""
        return {each["type"]: each for each in self.status.get("conditions") or ()}

    def is_older_than(self, other: "NodeView") -> bool:
        """Say whether this is an earlier version of the same object (a watch lags behind)."""
        mine, theirs = self.metadata, other.metadata
        if mine.uid != theirs.uid:
            return False
        both = (mine.resource_version, theirs.resource_version)
        return all(version.isdigit() for version in both) and int(both[0]) < int(both[1])


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """The Node of a machine that a real kubelet keeps: without its long status."""

    metadata: NodeMeta
    spec: dict[str, Any] = {}


_HOST_DECODER: Final = msgspec.json.Decoder(HostView)
_DECODER: Final = msgspec.json.Decoder(NodeView)


def decode_node(raw: bytes | msgspec.Raw) -> NodeView:
    """Return the Node that this JSON is; raises `msgspec.DecodeError`."""
    return _DECODER.decode(raw)


def decode_host(raw: bytes | msgspec.Raw) -> HostView:
    """Return a machine's Node; raises `msgspec.DecodeError`."""
    return _HOST_DECODER.decode(raw)
