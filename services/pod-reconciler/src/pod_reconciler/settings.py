"""What the pod-reconciler is told. Every duration is a setting, so that tests can shorten it."""

import socket
from pathlib import Path
from typing import Literal

import msgspec

from servicekit.settings import Seconds, ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """See the fields."""

    kubeconfig: Path | None = None
    """The cluster to serve. Without one, and without `in_cluster`: static mode."""
    in_cluster: bool = False
    """Use the service account of the pod that this runs in."""
    manifests: Path | None = None
    """Static mode: the folder whose pods are run."""
    status_file: Path | None = None
    """Static mode: where the pods' states are written, for whoever started this."""
    manifests_interval_s: Seconds = 1.0
    """Static mode: how often the folder is looked at."""

    election: Literal["on", "off"] = "on"
    """`off` where this is certainly the only replica."""
    lease_namespace: str = "wasmlet-system"
    lease_name: str = "pod-reconciler"
    lease_duration_s: Seconds = 15.0
    renew_deadline_s: Seconds = 10.0
    retry_period_s: Seconds = 2.0
    identity: str = msgspec.field(default_factory=socket.gethostname)
    """Who the Lease says leads; a random part is added."""

    command_timeout_s: Seconds = 5.0
    """How long an executor may take to acknowledge a plan."""
    command_backoff_s: Seconds = 0.05
    command_backoff_max_s: Seconds = 2.0
    write_timeout_s: Seconds = 10.0
    write_backoff_s: Seconds = 0.2
    write_backoff_max_s: Seconds = 10.0
    write_concurrency: int = 32
    """How many requests to the API server may be in flight."""
    creating_delay_s: float = 0.25
    """A start that is quicker than this costs one status write."""
    watch_min_s: Seconds = 300.0
    watch_max_s: Seconds = 600.0
    watch_backoff_s: Seconds = 0.8
    watch_backoff_max_s: Seconds = 30.0
    api_probe_interval_s: Seconds = 5.0
    """How often `/readyz` of this service looks whether the API server answers."""

    @property
    def is_static(self) -> bool:
        """Whether there is no cluster."""
        return self.kubeconfig is None and not self.in_cluster
