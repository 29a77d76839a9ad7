"""`/metrics/resource`, which metrics-server reads for `kubectl top` and the autoscalers.

Names, help and times are the kubelet's (pkg/kubelet/metrics/collectors/resource_metrics.go). Its
deprecated `scrape_error` is hidden by now, and of swap there is nothing to tell.
"""

from collections.abc import Mapping
from typing import Final

from contract.messages.usage import PodUsage, Usage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage, Used, milliseconds, running, total

NANO: Final = 1_000_000_000


def resource_metrics(node: NodeUsage | None) -> list[Family]:
    """Return all families; without an answer of the executor, that there was an error."""
    error = Family(
        "resource_scrape_error",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
        Kind.GAUGE,
        [Sample(1.0 if node is None else 0.0)],
    )
    if node is None:
        return [error]
    return [error, *_of_node(node.shown.node), *_of_containers(running(node)), *_of_pods(node)]


def _of_node(usage: Usage) -> list[Family]:
    return [
        Family(
            "node_cpu_usage_seconds_total",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
            Kind.COUNTER,
            [_cpu(usage, {})],
        ),
        Family(
            "node_memory_working_set_bytes",
            "[STABLE] Current working set of the node in bytes",
            Kind.GAUGE,
            [_memory(usage, {})],
        ),
    ]


def _of_containers(used: list[Used]) -> list[Family]:
    return [
        Family(
            "container_cpu_usage_seconds_total",
            "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
            Kind.COUNTER,
            [_cpu(each.usage, _container(each)) for each in used],
        ),
        Family(
            "container_memory_working_set_bytes",
            "[STABLE] Current working set of the container in bytes",
            Kind.GAUGE,
            [_memory(each.usage, _container(each)) for each in used],
        ),
        Family(
            "container_start_time_seconds",
            "[STABLE] Start time of the container since unix epoch in seconds",
            Kind.GAUGE,
            [Sample(each.usage.since.timestamp(), _container(each)) for each in used],
        ),
    ]


def _of_pods(node: NodeUsage) -> list[Family]:
    totals = [(_pod(pod), usage) for pod in node.pods if (usage := total(pod)) is not None]
    return [
        Family(
            "pod_cpu_usage_seconds_total",
            "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
            Kind.COUNTER,
            [_cpu(usage, labels) for labels, usage in totals],
        ),
        Family(
            "pod_memory_working_set_bytes",
            "[STABLE] Current working set of the pod in bytes",
            Kind.GAUGE,
            [_memory(usage, labels) for labels, usage in totals],
        ),
    ]


def _cpu(usage: Usage, labels: Mapping[str, str]) -> Sample:
    return Sample(usage.core_nanoseconds / NANO, labels, milliseconds(usage.at))


def _memory(usage: Usage, labels: Mapping[str, str]) -> Sample:
    return Sample(float(usage.memory_bytes), labels, milliseconds(usage.at))


def _pod(pod: PodUsage) -> dict[str, str]:
    return {"pod": pod.name, "namespace": pod.namespace}


def _container(used: Used) -> dict[str, str]:
    return {"container": used.container.name, **_pod(used.pod)}
