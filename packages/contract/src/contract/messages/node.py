"""Who is which node: registration, grants, beats, and the address of the kubelet API."""

from datetime import datetime

import msgspec

from contract.ids import NodeName
from contract.messages.form import Command, Done, Event, Incarnation, Message


class NodeImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image that a node has, for `status.images`."""

    names: tuple[str, ...]
    """Those with a digest first."""
    size_bytes: int


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an executor knows of its machine. Sizes in bytes, CPU in thousandths of a core."""

    cpu_millis: int
    memory_bytes: int
    ephemeral_storage_bytes: int
    pods: int
    allocatable_cpu_millis: int
    allocatable_memory_bytes: int
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_image: str = ""
    runtime_version: str = ""
    """`wasmtime://50.0.1`, the form of `status.nodeInfo.containerRuntimeVersion`."""
    version: str = ""
    """The executor's own version."""
    runtimes: tuple[str, ...] = ()
    """Names of the runtimes that it has, for `status.runtimeHandlers`."""
    images: tuple[NodeImage, ...] = ()
    """The largest first; no more than a Node shows."""


class NodeGrant(Message, frozen=True, kw_only=True, omit_defaults=True, tag="node_grant"):
    """The answer to a registration: who holds the node name now.

    The asking executor is granted when `holder` is its own incarnation.
    """

    node: NodeName
    holder: Incarnation


class NodeRegister(
    Command[NodeGrant], frozen=True, kw_only=True, omit_defaults=True, tag="node_register"
):
    """An executor asks for its node name. Repeated until granted, and after each reconnect."""

    node: NodeName
    incarnation: Incarnation
    facts: NodeFacts


class NodeRelease(Command[Done], frozen=True, kw_only=True, omit_defaults=True, tag="node_release"):
    """An executor that ends cleanly gives its node name back; another id may have it."""

    node: NodeName
    incarnation: Incarnation


class NodeRevoke(Command[Done], frozen=True, kw_only=True, omit_defaults=True, tag="node_revoke"):
    """The registrar tells a former holder, by executor id, that the name went to another.

    The executor stops its containers and reports nothing.
    """

    node: NodeName
    executor_id: str
    holder: Incarnation

    def subject_id(self) -> str:
        return self.executor_id


class NodeBeat(Event, frozen=True, kw_only=True, omit_defaults=True, tag="node_beat"):
    """Every 5 s from a granted executor: it lives, and this is all it knows, as one digest.

    `inventory_digest` is `contract.digests.inventory_digest` of its pods.
    """

    node: NodeName
    incarnation: Incarnation
    epoch: int
    at: datetime
    inventory_digest: str
    pods: int = 0
    """Those that have not ended: while there are some, the machine is not to be taken away."""
    memory_pressure: bool = False
    disk_pressure: bool = False
    pid_pressure: bool = False
    shutting_down: bool = False
    """The executor ends its pods and takes no more, until it is started again."""


class NodeGranted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="node_granted"):
    """The registrar says who holds a node. Sent at once and again every few seconds.

    `host_ip` is empty until the address of the Node is known.
    """

    node: NodeName
    holder: Incarnation
    host_ip: str = ""
    node_uid: str = ""
    facts: NodeFacts | None = None


class GrantsListed(Message, frozen=True, kw_only=True, omit_defaults=True, tag="grants_listed"):
    """All grants in force."""

    grants: tuple[NodeGranted, ...] = ()


class GrantsList(
    Command[GrantsListed], frozen=True, kw_only=True, omit_defaults=True, tag="grants_list"
):
    """A service that has just started asks the registrar for all grants. Has no node."""


class NodeChecked(Message, frozen=True, kw_only=True, omit_defaults=True, tag="node_checked"):
    """Whether a node is gone for good. What is not said is not so."""

    node: NodeName
    ended: bool = False


class NodeCheck(
    Command[NodeChecked], frozen=True, kw_only=True, omit_defaults=True, tag="node_check"
):
    """A service that holds something of a node, and hears of no grant of it, asks if it has ended.

    Silence says nothing: only the registrar knows whether there is such a node.
    """

    node: NodeName


class NodePong(Message, frozen=True, kw_only=True, omit_defaults=True, tag="node_pong"):
    """The executor's main loop turns."""

    incarnation: Incarnation
    epoch: int


class NodePing(Command[NodePong], frozen=True, kw_only=True, omit_defaults=True, tag="node_ping"):
    """The log-server asks, for its `/healthz`, whether the executor is alive."""

    node: NodeName


class ServerAnnounced(Event, frozen=True, kw_only=True, omit_defaults=True, tag="server_announced"):
    """The log-server listens for this node. Sent when it starts to, and every few seconds.

    `certificate_sha256` is the SHA-256 of the serving certificate (DER, hex), so that the registrar
    can ask `/healthz` of exactly this server before a cluster CA has signed anything.
    """

    node: NodeName
    address: str
    port: int
    certificate_sha256: str
