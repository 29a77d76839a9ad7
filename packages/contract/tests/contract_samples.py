"""One full sample of every message that crosses the bus; the goldens are their bytes."""

from datetime import UTC, datetime

import msgspec

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.blob import BlobChunk, BlobRead
from contract.messages.form import Done, Incarnation, Message, Term
from contract.messages.health import Exec, Grpc, HttpGet, Probe, Sleep, TcpSocket
from contract.messages.log import LogChunk, LogOpen, LogOpened, LogRead
from contract.messages.naming import Dns, DnsBase, DnsConfig, HostAlias, Naming
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
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
    ContainerPlan,
    ContainerRole,
    Deletion,
    Drain,
    FileVariable,
    HttpRules,
    MessagePolicy,
    PodAck,
    PodApply,
    PodForget,
    PodPlan,
    PodsList,
    PodsListed,
    RestartPolicy,
    RestartRule,
    RuleAction,
)
from contract.messages.pull import PullKey, PullPolicy
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
from contract.messages.volume import (
    EmptyDir,
    Files,
    HostPath,
    ImageVolume,
    Mount,
    VolumeFile,
    VolumePlan,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 5, 0, 250000, tzinfo=UTC)
NODE = NodeName("wasm.node-1")
UID = PodUid("0b4e9c1e-7d7e-4b06-9f6c-0a9f3a1d2c11")
LIFE = Incarnation(executor_id="3f2a", start_count=7)
TERM = Term(created_at=AT, uid="lease-uid", transitions=3)
DIGEST = "a" * 64
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
PLAN = PodPlan(
    uid=UID,
    namespace="default",
    name="hello",
    generation=2,
    restart_policy=RestartPolicy.ON_FAILURE,
    termination_grace_s=5.0,
    runtime_handler="wasi",
    pod_ip="10.0.0.5",
    drain=Drain.STDIN_EOF,
    toolbox="registry.example/toolbox:v1",
    http=HttpRules(
        reuse=100,
        concurrency=32,
        timeout_s=30.0,
        access_log=True,
        allowed_hosts=("api.example:443",),
    ),
    active_deadline_s=600.0,
    containers=(
        ContainerPlan(
            name=ContainerName("app"),
            image="registry/app:1",
            pull_policy=PullPolicy.ALWAYS,
            command=("app",),
            args=("--once",),
            working_dir="/work",
            env=(("A", "1"), ("B", "2")),
            file_variables=(
                FileVariable(
                    name="B", volume="scratch", path="e", key="K", optional=True, before="2"
                ),
            ),
            memory_limit_bytes=64 << 20,
            cpu_limit_millis=1500,
            ports=(8080,),
            stdin=True,
            role=ContainerRole.SIDECAR,
            restart_policy=RestartPolicy.ALWAYS,
            restart_rules=(
                RestartRule(action=RuleAction.RESTART_ALL, exit_codes=(42,), negated=True),
            ),
            startup=Probe(
                action=HttpGet(port=8080, path="/up", scheme="HTTPS", headers=(("A", "1"),)),
                initial_delay_s=1.0,
                period_s=2.0,
                timeout_s=3.0,
                success_threshold=4,
                failure_threshold=5,
                termination_grace_s=6.0,
            ),
            readiness=Probe(action=TcpSocket(port=8080, host="10.0.0.5")),
            liveness=Probe(action=Grpc(port=9090, service="live")),
            post_start=Exec(command=("app", "warm-up")),
            pre_stop=Sleep(seconds=1.5),
            message_path="/dev/last-words",
            message_policy=MessagePolicy.FALLBACK_TO_LOGS,
            mounts=(Mount(volume="config", path="/etc/app", sub_path="app", read_only=True),),
            config_error='configmap "app" not found',
        ),
    ),
    volumes=(
        VolumePlan(
            name="config",
            source=Files(
                files=(VolumeFile(path="app/a.conf", blob=DIGEST, size_bytes=7, mode=0o400),)
            ),
        ),
        VolumePlan(name="scratch", source=EmptyDir(memory=True, size_limit_bytes=1 << 20)),
        VolumePlan(name="host", source=HostPath(path="/srv/data", path_type="Directory")),
        VolumePlan(
            name="model", source=ImageVolume(image="registry/model:1", pull_policy=PullPolicy.NEVER)
        ),
        VolumePlan(name="late", missing='configmap "late" not found'),
    ),
    pull_keys=(
        PullKey(
            location="registry.example/team",
            username="puller",
            password="secret",
            identity_token="token",
            secret_name="keys",
            secret_uid="3f1c",
        ),
    ),
    pull_problem='image pull secret "other" cannot be read',
    naming=Naming(
        hostname="hello",
        domain="apps.default.svc.cluster.local",
        hostname_is_full=True,
        hosts_of_node=True,
        aliases=(HostAlias(ip="10.1.2.3", hostnames=("foo.local", "bar.local")),),
        dns=Dns(
            base=DnsBase.CLUSTER,
            cluster=DnsConfig(
                nameservers=("10.96.0.10",), searches=("svc.cluster.local",), options=("ndots:5",)
            ),
            added=DnsConfig(nameservers=("1.2.3.4",), searches=("ns1.test",), options=("edns0",)),
        ),
    ),
    deletion=Deletion(requested_at=LATER, grace_s=2.0),
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
