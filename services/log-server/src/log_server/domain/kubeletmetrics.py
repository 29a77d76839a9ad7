"""`/metrics`: the kubelet's own series, as far as the executor can tell them."""

from collections import Counter

from contract.messages.usage import Usage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage
from log_server.domain.resourcemetrics import NANO


def kubelet_metrics(node: NodeUsage) -> list[Family]:
    """Return all families."""
    states = Counter(each.state for pod in node.pods for each in pod.containers)
    pods = sum(any(each.state == "running" for each in pod.containers) for pod in node.pods)
    return [
        Family(
            "kubelet_node_name",
            "[ALPHA] The node's name. The count is always 1.",
            Kind.GAUGE,
            [Sample(1, {"node": node.name})],
        ),
        Family(
            "kubelet_running_pods",
            "[ALPHA] Number of pods that have a running pod sandbox",
            Kind.GAUGE,
            [Sample(pods)],
        ),
        Family(
            "kubelet_running_containers",
            "[ALPHA] Number of containers currently running",
            Kind.GAUGE,
            [Sample(states[state], {"container_state": state}) for state in sorted(states)],
        ),
        *_process(node.shown.services),
    ]


def _process(usage: Usage) -> list[Family]:
    """The executor's own, without what it runs."""
    return [
        Family(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            Kind.COUNTER,
            [Sample(usage.core_nanoseconds / NANO)],
        ),
        Family(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            Kind.GAUGE,
            [Sample(usage.resident_bytes)],
        ),
        start_time(usage),
    ]


def start_time(usage: Usage) -> Family:
    """The kubelet shows it beside its probes' counts too."""
    return Family(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        Kind.GAUGE,
        [Sample(usage.since.timestamp())],
    )
