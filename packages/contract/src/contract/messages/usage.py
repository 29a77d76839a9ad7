"""What a node and its containers use: measured by the executor, rendered by the log-server.

One measurement is shared by all who ask, and everything in it says when it was made. Large nodes
answer page by page, in the order of pod UIDs.
"""

from datetime import datetime

import msgspec

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.form import Command, Message
from contract.messages.pod import ContainerRole


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """CPU and memory of a process, or of several.

    `core_nanoseconds` grows since `since`; `nano_cores` is its rate between the last two
    measurements. `memory_bytes` is what a memory limit holds.
    """

    at: datetime
    since: datetime
    core_nanoseconds: int
    nano_cores: int = 0
    memory_bytes: int
    resident_bytes: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    processes: int = 1


class FileUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a folder takes, as `du` counts it."""

    at: datetime
    used_bytes: int
    files: int = 0


class FileSystem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The room of a file system."""

    at: datetime
    capacity_bytes: int
    available_bytes: int
    inodes: int = 0
    inodes_free: int = 0


class InterfaceUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interface of the node's network, counted since it is there."""

    name: str
    received_bytes: int = 0
    received_packets: int = 0
    received_errors: int = 0
    received_dropped: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    sent_errors: int = 0
    sent_dropped: int = 0


class NetworkUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The node's network, which its pods share."""

    at: datetime
    interfaces: tuple[InterfaceUsage, ...] = ()


class ProbeCount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often one probe of a container has ended how; `seconds` of those that did not fail."""

    kind: str
    successful: int = 0
    failed: int = 0
    unknown: int = 0
    buckets: tuple[int, ...] = ()
    """How many took at most each of Prometheus' default bounds; cumulative."""
    seconds: float = 0.0


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container. Without a running process there is no `usage`."""

    name: ContainerName
    role: ContainerRole = ContainerRole.APP
    state: str = "created"
    """`created`, `running` or `exited`, as a container runtime's."""
    image: str = ""
    id: str = ""
    usage: Usage | None = None
    memory_limit_bytes: int | None = None
    logs: FileUsage | None = None
    probes: tuple[ProbeCount, ...] = ()


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One emptyDir; or one claim, which has a name, and the room of the file system that it is on.

    Of a claim the files are those of this file system, as a kubelet counts them.
    """

    name: str
    in_memory: bool = False
    files: FileUsage
    claim: str = ""
    room: FileSystem | None = None


class PodUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pod with all its containers.

    `ended_core_nanoseconds` is of runs that are over: with it, a pod's total never shrinks.
    """

    uid: PodUid
    namespace: str
    name: str
    started_at: datetime
    ended_core_nanoseconds: int = 0
    containers: tuple[ContainerUsage, ...] = ()
    volumes: tuple[VolumeUsage, ...] = ()


class CountedSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value. The name is the family's with what a histogram's part adds."""

    name: str
    labels: dict[str, str] = {}
    value: float


class Counted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A family of the kubelet's own series, as Prometheus calls it."""

    name: str
    help: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    samples: tuple[CountedSample, ...] = ()


class UsageShown(Message, frozen=True, kw_only=True, omit_defaults=True, tag="usage_shown"):
    """A page of the measurement. `after` is empty on the last one; the node is on every one.

    `node` is the executor itself with everything that it runs; `services` without the containers.
    `file_system` and `images` are there where files were asked for.
    """

    node: Usage
    services: Usage
    cpu_millis: int
    memory_capacity_bytes: int
    file_system: FileSystem | None = None
    images: FileUsage | None = None
    network: NetworkUsage | None = None
    pods: tuple[PodUsage, ...] = ()
    after: str = ""
    counted: tuple[Counted, ...] = ()
    """Where they were asked for, on the last page."""


class UsageRead(
    Command[UsageShown], frozen=True, kw_only=True, omit_defaults=True, tag="usage_read"
):
    """Measure, unless that was done a moment ago.

    `files`: volumes and logs too. `counted`: what the executor counts as a kubelet does.
    """

    node: NodeName
    files: bool = False
    after: str = ""
    counted: bool = False
