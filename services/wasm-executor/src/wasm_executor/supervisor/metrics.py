"""What the admin port tells of this executor. No name of a pod is in it."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RUNNING_PODS: Final = Gauge("wasmlet_executor_running_pods", "Pods with a running container.")
KNOWN_PODS: Final = Gauge("wasmlet_executor_pods", "Pods that this executor knows.")
STARTED: Final = Counter("wasmlet_executor_started_containers", "Runs whose guest has begun.")
REFUSED: Final = Counter("wasmlet_executor_refused_containers", "Runs that could not begin.")
START_SECONDS: Final = Histogram(
    "wasmlet_executor_start_seconds",
    "From the decision to start a container to its guest's first instruction.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OOM_KILLS: Final = Counter("wasmlet_executor_oom_kills", "Runs killed at their memory limit.")
POD_FAULTS: Final = Counter(
    "wasmlet_executor_pod_faults", "Steps of a pod that this program failed to do."
)
