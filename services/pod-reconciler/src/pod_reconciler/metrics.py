"""What the pod-reconciler counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

STATUS_WRITES: Final = Counter(
    "wasmlet_status_writes", "Status writes to the API server, by outcome.", ["outcome"]
)
REPORTS: Final = Counter("wasmlet_reports", "Reports of pods, by what became of them.", ["fate"])
COMMANDS: Final = Counter(
    "wasmlet_pod_commands", "Commands to executors, by kind and outcome.", ["kind", "outcome"]
)
REFUSALS: Final = Counter("wasmlet_pods_refused", "Pods turned away, by reason.", ["reason"])
OBJECT_READS: Final = Counter(
    "wasmlet_object_reads",
    "Reads of ConfigMaps and Secrets, by kind and outcome.",
    ["kind", "outcome"],
)
REPAIRS: Final = Counter("wasmlet_repairs", "How often everything was asked for again.")
STATUS_WRITE_S: Final = Histogram(
    "wasmlet_status_write_seconds",
    "How long the API server takes for a status write.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
NODES: Final = Gauge(
    "wasmlet_reconciler_nodes", "Nodes whose pods are seen to here; 0 where another one leads."
)
