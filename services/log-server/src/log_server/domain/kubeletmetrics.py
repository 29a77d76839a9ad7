"""`/metrics`: the kubelet's own series, as far as the executor can tell them."""

from collections import Counter
from typing import Final

from contract.messages.usage import Counted, Usage
from log_server.domain.claimmetrics import claim_metrics
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage
from log_server.domain.resourcemetrics import NANO

_KINDS: Final = frozenset(Kind)


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
        *claim_metrics(node),
        *_process(node.shown.services),
        *(_counted(each) for each in node.shown.counted if each.kind in _KINDS),
    ]


def serving_certificate(ttl_s: float) -> list[Family]:
    """Return what the kubelet tells of its serving certificate; a failure ends this process."""
    return [
        Family(
            "kubelet_certificate_manager_server_ttl_seconds",
            "[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate."
            " The value is in seconds until certificate expiry (negative if already expired).",
            Kind.GAUGE,
            [Sample(ttl_s)],
        ),
        Family(
            "kubelet_server_expiration_renew_errors",
            "[ALPHA] Counter of certificate renewal errors.",
            Kind.COUNTER,
            [Sample(0)],
        ),
    ]


def _counted(family: Counted) -> Family:
    samples = [
        Sample(each.value, each.labels, suffix=each.name.removeprefix(family.name))
        for each in family.samples
    ]
    return Family(family.name, family.help, Kind(family.kind), samples)


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
