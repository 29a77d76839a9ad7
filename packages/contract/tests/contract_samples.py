"""One full sample of every message that crosses the bus; the goldens are their bytes."""

import msgspec
from plan_samples import AT, DIGEST, LATER, PLAN, UID

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.form import Done, Incarnation, Message, Term
from contract.messages.log import LogChunk, LogOpen, LogOpened, LogRead
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
    NodeCheck,
    NodeChecked,
    NodeFacts,
    NodeGrant,
    NodeGranted,
    NodeImage,
    NodePing,
    NodePong,
    NodeRegister,
    NodeRelease,
    NodeRevoke,
    ServerAnnounced,
)
from contract.messages.pod import (
    PodAck,
    PodApply,
    PodForget,
    PodsList,
    PodsListed,
)
from contract.messages.report import (
    ContainerReport,
    Inventory,
    InventoryEntry,
    Occurrence,
    PodHappened,
    PodReported,
    ReportAll,
    Running,
    Terminated,
    Waiting,
)

NODE = NodeName("wasm.node-1")
LIFE = Incarnation(executor_id="3f2a", start_count=7)
TERM = Term(created_at=AT, uid="lease-uid", transitions=3)
FACTS = NodeFacts(
    images=(NodeImage(names=("registry/app@sha256:1f", "registry/app:1"), size_bytes=2048),),
    cpu_millis=2000,
    memory_bytes=8 << 30,
    ephemeral_storage_bytes=50 << 30,
    pods=110,
    allocatable_cpu_millis=1900,
    allocatable_memory_bytes=7 << 30,
    machine_id="m",
    system_uuid="s",
    boot_id="b",
    kernel_version="6.1",
    os_image="Debian",
    runtime_version="wasmtime://50.0.1",
    version="0.1.0",
    runtimes=("wasi",),
)
ENDED = Terminated(
    exit_code=3,
    reason="Error",
    started_at=AT,
    finished_at=LATER,
    container_id="wasmtime://" + "1" * 32,
    message="m",
    signal=9,
)
CONTAINER = ContainerReport(
    name=ContainerName("app"),
    state=Running(started_at=LATER),
    last_state=ENDED,
    restart_count=1,
    container_id="wasmtime://" + "2" * 32,
    image="registry/app:1",
    image_id="registry/app@sha256:" + DIGEST,
    ready=True,
    started=True,
)
WAITING = ContainerReport(
    name=ContainerName("side"), state=Waiting(reason="CrashLoopBackOff", message="back-off 10s")
)
GRANTED = NodeGranted(node=NODE, holder=LIFE, host_ip="10.0.0.5", node_uid="node-uid", facts=FACTS)
SAMPLES: tuple[Message, ...] = (
    NodeGrant(node=NODE, holder=LIFE),
    NodeRegister(node=NODE, incarnation=LIFE, facts=FACTS),
    NodeRelease(node=NODE, incarnation=LIFE),
    NodeRevoke(node=NODE, executor_id="3f2a", holder=LIFE),
    NodeBeat(
        node=NODE,
        incarnation=LIFE,
        epoch=2,
        at=AT,
        inventory_digest=DIGEST,
        pods=3,
        memory_pressure=True,
        disk_pressure=True,
        pid_pressure=True,
        shutting_down=True,
    ),
    GRANTED,
    GrantsList(),
    GrantsListed(grants=(GRANTED,)),
    NodeCheck(node=NODE),
    NodeChecked(node=NODE, ended=True),
    NodePing(node=NODE),
    NodePong(incarnation=LIFE, epoch=2),
    ServerAnnounced(node=NODE, address="10.0.0.5", port=10250, certificate_sha256=DIGEST),
    PodApply(
        uid=UID,
        incarnation=LIFE,
        term=TERM,
        revision=4,
        plan_digest=DIGEST,
        plan=PLAN,
        last_status=(CONTAINER, WAITING),
        started_at=AT,
        contents=(b"token",),
    ),
    PodAck(uid=UID, plan_digest=DIGEST, changed=True),
    PodForget(uid=UID, incarnation=LIFE, term=TERM, grace_s=30.0),
    PodsList(after="default/hello", offset=3, version="v"),
    PodsListed(
        pods=(msgspec.Raw(b'{"kind":"Pod"}'),),
        after="default/hello",
        part=b"{",
        offset=4,
        version="v",
    ),
    PodReported(
        uid=UID,
        namespace="default",
        name="hello",
        incarnation=LIFE,
        epoch=2,
        sequence=9,
        plan_digest=DIGEST,
        generation=2,
        term=TERM,
        started_at=AT,
        containers=(CONTAINER, WAITING, ContainerReport(name=ContainerName("z"), state=ENDED)),
        stopped=True,
        reason="DeadlineExceeded",
        message="Pod was active on the node longer than the specified deadline",
        restarting_all=True,
        awaits_volumes=True,
        deleted=True,
    ),
    PodHappened(
        uid=UID,
        namespace="default",
        name="hello",
        incarnation=LIFE,
        occurrences=(
            Occurrence(
                reason="Failed",
                message="Error: ErrImagePull",
                at=AT,
                type="Warning",
                container=ContainerName("app"),
            ),
        ),
    ),
    Inventory(
        incarnation=LIFE,
        epoch=2,
        entries=(
            InventoryEntry(uid=UID, plan_digest=DIGEST, epoch=2, sequence=9),
            InventoryEntry(
                uid=PodUid("u-2"),
                plan_digest="",
                epoch=0,
                sequence=0,
                namespace="default",
                name="ended",
            ),
        ),
    ),
    ReportAll(incarnation=LIFE, term=TERM),
    LogOpen(namespace="default", pod="hello", container="app", previous=True, tail_lines=0),
    LogOpened(cursor="c"),
    LogRead(cursor="c", max_bytes=1024, wait_s=5.0, plain=True),
    LogChunk(data=b"\x00\xff\n", cursor="d", end=True, plain=True),
    BlobRead(digest=DIGEST, offset=1, max_bytes=2),
    BlobChunk(data=b"x", total_bytes=10),
    Done(),
)
