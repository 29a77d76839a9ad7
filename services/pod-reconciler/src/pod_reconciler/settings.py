"""What the pod-reconciler is told. Every duration is a setting, so that tests can shorten it."""

from pathlib import Path
from typing import Final, Literal

from servicekit.settings import PREFIX, CollectorUrl, Ratio, Seconds, ServiceSettings

IN_CLUSTER: Final = "in-cluster"
LEASE_NAME: Final = "pod-reconciler"


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """See the fields."""

    kubeconfig: str = ""
    """A kubeconfig's path, `in-cluster` for the pod's service account, empty for static mode."""
    manifests: Path | None = None
    """The folder whose pods are run. Without a kubeconfig that is all that is run (static mode)."""
    status_file: Path | None = None
    """Static mode: where the pods' states are written, for whoever started this."""
    manifests_interval_s: Seconds = 1.0
    """How often the folder is looked at."""

    election: Literal["on", "off"] = "on"
    """`off` where this is certainly the only replica."""
    election_namespace: str = "wasmlet-system"
    election_identity: str = "pod-reconciler"
    """Who the Lease says leads; a random part is added."""
    election_lease_s: Seconds = 15.0
    election_renew_deadline_s: Seconds = 10.0
    election_retry_s: Seconds = 2.0
    """How often the leader renews; the others look four times as often."""

    command_timeout_s: Seconds = 5.0
    """How long an executor may take to acknowledge a plan."""
    command_backoff_s: Seconds = 0.05
    command_backoff_max_s: Seconds = 2.0
    write_timeout_s: Seconds = 10.0
    write_backoff_s: Seconds = 0.2
    write_backoff_max_s: Seconds = 10.0
    write_refused_retry_s: Seconds = 30.0
    """How soon a status that the API server refused is sent again, unless there is news before."""
    write_concurrency: int = 32
    """How many requests to the API server may be in flight."""
    node_check_s: Seconds = 60.0
    """The registrar is asked about a node that was not granted for so long: what is held of one
    that has ended is let go."""
    creating_delay_s: float = 0.25
    """A start that is quicker than this costs one status write."""
    cluster_dns: tuple[str, ...] = ()
    """The addresses of the cluster's name server, for pods with dnsPolicy ClusterFirst. Without
    one these resolve names as their node does."""
    cluster_domain: str = "cluster.local"
    """The domain of the cluster's names; empty for none."""
    namespaces: tuple[str, ...] = ()
    """The namespaces whose ConfigMaps, Secrets, claims, tokens and Services are used; none: all."""
    objects_period_s: Seconds = 60.0
    """How often a ConfigMap or Secret is read again while pods use it."""
    objects_retry_s: Seconds = 5.0
    """How soon one that is not there, or may not be read, is asked for again."""
    watch_min_s: Seconds = 300.0
    watch_max_s: Seconds = 600.0
    watch_backoff_s: Seconds = 0.8
    watch_backoff_max_s: Seconds = 30.0
    api_probe_interval_s: Seconds = 5.0
    """How often `/readyz` of this service looks whether the API server answers."""

    traces_endpoint: CollectorUrl = ""
    """Where the traces of pods' starts go: a collector of OpenTelemetry that takes OTLP over HTTP,
    such as `http://collector:4318`. Empty: there are no traces."""
    traces_sampling_ratio: Ratio = 1.0
    """Which part of the starts is traced, by chance."""

    def __post_init__(self) -> None:
        if not self.kubeconfig and self.manifests is None:
            raise ValueError(f"{PREFIX}KUBECONFIG or {PREFIX}MANIFESTS must be set")

    @property
    def is_static(self) -> bool:
        """Whether there is no cluster."""
        return not self.kubeconfig

    @property
    def kubeconfig_file(self) -> Path | None:
        """The kubeconfig; None for the service account of the pod that this runs in."""
        return None if self.kubeconfig == IN_CLUSTER else Path(self.kubeconfig)
