"""A node's usage with something of everything, and how it is told."""

from datetime import UTC, datetime

from log_server_world import NODE

from contract.ids import ContainerName, PodUid
from contract.messages.usage import (
    ContainerUsage,
    FileSystem,
    FileUsage,
    InterfaceUsage,
    NetworkUsage,
    PodUsage,
    ProbeCount,
    Usage,
    UsageShown,
    VolumeUsage,
)
from log_server.domain.nodeusage import NodeUsage

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = datetime(2026, 1, 2, 3, 5, 0, 250000, tzinfo=UTC)
AT_MS = 1767323100250
ROOM = FileSystem(at=AT, capacity_bytes=70, available_bytes=60, inodes=9, inodes_free=4)
FILES = FileUsage(at=AT, used_bytes=8192, files=2)


def usage(nanoseconds: int, memory: int) -> Usage:
    return Usage(
        at=AT,
        since=SINCE,
        core_nanoseconds=nanoseconds,
        nano_cores=nanoseconds // 10,
        memory_bytes=memory,
        resident_bytes=memory * 2,
        page_faults=7,
        major_page_faults=1,
    )


RUNNING = ContainerUsage(
    name=ContainerName("app"),
    state="running",
    image="hello:1",
    id="wasmtime://abc",
    usage=usage(1_500_000_000, 4 << 20),
    memory_limit_bytes=64 << 20,
    logs=FILES,
    probes=(
        ProbeCount(
            kind="readiness",
            successful=3,
            failed=2,
            buckets=(1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3),
            seconds=0.03,
        ),
    ),
)
IDLE = ContainerUsage(name=ContainerName("idle"), state="running", usage=usage(1, 4096))
ENDED = ContainerUsage(name=ContainerName("init"), state="exited")
POD = PodUsage(
    uid=PodUid("u-1"),
    namespace="default",
    name="hello",
    started_at=SINCE,
    ended_core_nanoseconds=500_000_000,
    containers=(ENDED, RUNNING, IDLE),
    volumes=(
        VolumeUsage(name="disk", files=FILES),
        VolumeUsage(name="memory", in_memory=True, files=FILES),
        VolumeUsage(name="data", files=FILES, claim="pvc", room=ROOM),
    ),
)
WAITING = PodUsage(
    uid=PodUid("u-2"),
    namespace="default",
    name="waits",
    started_at=SINCE,
    containers=(ContainerUsage(name=ContainerName("c")),),
)
SHOWN = UsageShown(
    node=usage(9_000_000_000, 200 << 20),
    services=usage(2_000_000_000, 90 << 20),
    cpu_millis=2000,
    memory_capacity_bytes=4 << 30,
    file_system=FileSystem(
        at=AT, capacity_bytes=1000, available_bytes=600, inodes=10, inodes_free=4
    ),
    images=FILES,
    network=NetworkUsage(
        at=AT,
        interfaces=(
            InterfaceUsage(name="wlan0", sent_bytes=7),
            InterfaceUsage(name="eth0", received_bytes=9, received_packets=2, sent_dropped=1),
        ),
    ),
    pods=(POD, WAITING),
)
WHOLE = NodeUsage(name=NODE, shown=SHOWN, pods=SHOWN.pods)
