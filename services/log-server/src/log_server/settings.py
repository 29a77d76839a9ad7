"""What the log-server is told: where it listens, whom it trusts, and the measures of time."""

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from contract.ids import NodeName
from servicekit.settings import PREFIX, Port, Seconds, ServiceSettings

IN_CLUSTER: Final = "in-cluster"

Count = Annotated[int, msgspec.Meta(gt=0)]


class LogServerSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of the log-server."""

    kubeconfig: str = ""
    """A kubeconfig's path, `in-cluster` for the pod's service account, empty for static mode."""
    node_names: tuple[NodeName, ...] = ()
    """Serves these nodes alone, with ports in this order; empty: every granted node."""
    kubelet_port: Port = 10250
    """Port of the first node; the others follow. 0 takes free ones."""
    bind_address: str = ""
    """Empty: every address, or in static mode loopback alone."""
    node_address: str = ""
    """The address that is announced; empty: this machine's, towards its default route."""
    run_dir: Path | None = None
    """On tmpfs. Keeps the serving keys, so that a restart shows the same certificate. Without it
    they live in memory alone."""
    client_ca_file: Path | None = None
    """Whose client certificates count; without it, the cluster's own ConfigMap says."""
    enable_debugging_handlers: bool = True
    """The kubelet's `enableDebuggingHandlers`: off, nobody gets logs, exec, attach, port-forward or
    run, cluster administrators included."""
    certificate_mode: Literal["selfSigned", "csr", "files"] = "selfSigned"
    """Who signs the serving certificate. `csr`: the cluster's `kubernetes.io/kubelet-serving`, once
    somebody has approved the request; until then it signs itself. `files`: whoever keeps them."""
    tls_cert_file: Path | None = None
    """The kubelet's `tlsCertFile`, for `files`: the certificate and those between it and its CA."""
    tls_private_key_file: Path | None = None
    """The kubelet's `tlsPrivateKeyFile`: its key, without a password."""
    tls_files_interval_s: Seconds = 5.0
    """How often the two are looked at; new ones are shown at once, under open streams."""
    certificate_lifetime_s: Seconds = 365 * 24 * 3600.0
    """It is replaced at 70 to 90 % of it."""
    certificate_patience_s: Seconds = 300.0
    """How long a request may wait to be approved and signed without a word; then a warning says so,
    again and again, while the same request waits on."""

    healthz_port: Port = 0
    """The kubelet's plain port for health checks, 10248 there; 0: none. It is for all nodes of this
    process together."""
    healthz_bind_address: str = "127.0.0.1"

    streaming_idle_timeout_s: Seconds = 4 * 3600.0
    """The kubelet's `streamingConnectionIdleTimeout`: exec, attach and port-forward end where so
    long nothing has come from either side."""
    idle_timeout_s: Seconds = 90.0
    """How long a connection may stay that asks nothing; the kubelet's time."""
    handshake_timeout_s: Seconds = 10.0
    """How long a TLS handshake may take."""
    header_timeout_s: Seconds = 10.0
    """How long the head of a request may take from its first byte on."""
    max_header_bytes: Annotated[int, msgspec.Meta(ge=4096)] = 262144
    """How long the head of a request may be; longer ones get 431."""
    max_body_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1048576
    """No path has a use for a body; one that says to be larger gets 413."""
    max_connections: Count = 4096
    """Of one node's port."""
    max_connections_per_peer: Count = 2048
    """Of one node's port with one address, and so with an API server: every exec and every
    followed log is one. More are closed at once."""
    announce_interval_s: Seconds = 5.0
    grants_retry_s: Seconds = 1.0
    node_check_s: Seconds = 60.0
    """The registrar is asked about a node that was not granted for so long: the port of one that
    has ended is closed, unless the settings name it."""
    client_ca_interval_s: Seconds = 60.0
    """How often the client CA is read again."""
    api_check_interval_s: Seconds = 10.0
    """How often the API server is asked for a sign of life."""
    review_timeout_s: Seconds = 10.0
    """For one TokenReview or SubjectAccessReview, its retries included."""
    token_cache_s: Seconds = 120.0
    allow_cache_s: Seconds = 300.0
    deny_cache_s: Seconds = 30.0
    executor_socket: str = ""
    """Path of an executor's health socket on this host, `{node}` standing for the node's name.
    Without it, or without an answer, the executor is asked over the bus."""
    ping_timeout_s: Seconds = 1.8
    """How long the executor may take to answer for `/healthz`; the registrar waits 2 s."""
    open_patience_s: Seconds = 5.0
    """How long a request waits for an executor or reconciler that is away."""
    stream_patience_s: Seconds = 60.0
    """How long a log stream that has begun waits for them, before it ends."""
    follow_wait_s: Annotated[float, msgspec.Meta(gt=0, le=20)] = 5.0
    """How long the executor may hold one read of a followed log open."""
    chunk_bytes: Annotated[int, msgspec.Meta(ge=4096, le=262144)] = 131072
    """How much of a log is asked for at a time. A stalled reader costs half a MiB and this."""

    def __post_init__(self) -> None:
        if self.certificate_mode == "csr" and not self.kubeconfig:
            raise ValueError(f"{PREFIX}CERTIFICATE_MODE=csr needs {PREFIX}KUBECONFIG")
        files = [self.tls_cert_file is not None, self.tls_private_key_file is not None]
        if files != [self.certificate_mode == "files"] * 2:
            raise ValueError(
                f"{PREFIX}CERTIFICATE_MODE=files goes with {PREFIX}TLS_CERT_FILE and "
                f"{PREFIX}TLS_PRIVATE_KEY_FILE, and they with it"
            )
        if self.nats_token_file is not None and len(self.node_names) != 1:
            raise ValueError(
                f"{PREFIX}NATS_TOKEN_FILE makes this the bus user of one node: "
                f"{PREFIX}NODE_NAMES needs one name"
            )


def only_node(settings: LogServerSettings) -> NodeName | None:
    """Return the node whose bus user this server is, None where it may serve every node."""
    return None if settings.nats_token_file is None else settings.node_names[0]
