"""One full sample of every message of usage; the goldens are their bytes."""

from datetime import UTC, datetime

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.form import Message
from contract.messages.pod import ContainerRole
from contract.messages.usage import (
    ContainerUsage,
    Counted,
    CountedSample,
    FileSystem,
    FileUsage,
    InterfaceUsage,
    NetworkUsage,
    PodUsage,
    ProbeCount,
    Usage,
    UsageRead,
    UsageShown,
    VolumeUsage,
)

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = datetime(2026, 1, 2, 3, 5, 0, 250000, tzinfo=UTC)
FILES = FileUsage(at=NOW, used_bytes=8192, files=2)
ROOM = FileSystem(at=NOW, capacity_bytes=100, available_bytes=60, inodes=10, inodes_free=4)
USAGE = Usage(
    at=NOW,
    since=SINCE,
    core_nanoseconds=1_500_000_000,
    nano_cores=250_000_000,
    memory_bytes=4 << 20,
    resident_bytes=20 << 20,
    page_faults=700,
    major_page_faults=1,
    processes=2,
)
CONTAINER = ContainerUsage(
    name=ContainerName("app"),
    role=ContainerRole.SIDECAR,
    state="running",
    image="hello:1",
    id="wasmlet://1",
    usage=USAGE,
    memory_limit_bytes=64 << 20,
    logs=FILES,
    probes=(
        ProbeCount(
            kind="readiness", successful=3, failed=2, unknown=1, buckets=(1, 3, 4), seconds=0.5
        ),
    ),
)
POD = PodUsage(
    uid=PodUid("0b4e9c1e-7d7e-4b06-9f6c-0a9f3a1d2c11"),
    namespace="default",
    name="hello",
    started_at=SINCE,
    ended_core_nanoseconds=7,
    containers=(CONTAINER, ContainerUsage(name=ContainerName("z"), state="exited")),
    volumes=(
        VolumeUsage(name="v", in_memory=True, files=FILES),
        VolumeUsage(name="data", files=FILES, claim="pvc", room=ROOM),
    ),
)
USAGE_SAMPLES: tuple[Message, ...] = (
    UsageRead(node=NodeName("n1"), files=True, after="u-1", counted=True),
    UsageShown(
        node=USAGE,
        services=USAGE,
        cpu_millis=2000,
        memory_capacity_bytes=4 << 30,
        file_system=ROOM,
        images=FILES,
        network=NetworkUsage(
            at=NOW,
            interfaces=(
                InterfaceUsage(
                    name="eth0",
                    received_bytes=1,
                    received_packets=2,
                    received_errors=3,
                    received_dropped=4,
                    sent_bytes=5,
                    sent_packets=6,
                    sent_errors=7,
                    sent_dropped=8,
                ),
            ),
        ),
        pods=(POD,),
        after="u-2",
        counted=(
            Counted(
                name="kubelet_runtime_operations_total",
                help="Operations.",
                kind="counter",
                samples=(
                    CountedSample(
                        name="kubelet_runtime_operations_total",
                        labels={"operation_type": "exec"},
                        value=2.0,
                    ),
                ),
            ),
        ),
    ),
)
