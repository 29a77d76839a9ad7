"""A plan that says everything a plan can say; golden messages hold it."""

from datetime import UTC, datetime

from contract.ids import ContainerName, PodUid
from contract.messages.health import Exec, Grpc, HttpGet, Probe, Sleep, TcpSocket
from contract.messages.naming import Dns, DnsBase, DnsConfig, HostAlias, Naming
from contract.messages.pod import (
    CgiRoute,
    ContainerPlan,
    ContainerRole,
    Deletion,
    Drain,
    FileVariable,
    HttpRules,
    MessagePolicy,
    PodPlan,
    RestartPolicy,
    RestartRule,
    RuleAction,
)
from contract.messages.pull import PullKey, PullPolicy
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
UID = PodUid("0b4e9c1e-7d7e-4b06-9f6c-0a9f3a1d2c11")
DIGEST = "a" * 64
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
        max_body_bytes=1 << 20,
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
            routes=(CgiRoute(route="/app/...", entrypoint="serve", argv="app ${ARGS}"),),
            allowed_hosts=("files.example:443",),
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
        VolumePlan(
            name="host", source=HostPath(path="/srv/data", path_type="Directory", claim="data")
        ),
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
