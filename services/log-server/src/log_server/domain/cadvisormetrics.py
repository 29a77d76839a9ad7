"""`/metrics/cadvisor`: the series of containers and of the machine that dashboards ask for.

Labels are cAdvisor's in a kubelet. A pod's own series have an empty container, as its cgroup's
have there.
"""

from collections.abc import Callable
from typing import Final

from contract.messages.usage import PodUsage, Usage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage, Used, milliseconds, running, total
from log_server.domain.resourcemetrics import NANO

type _Value = Callable[[Usage], float]

_SERIES: Final[tuple[tuple[str, str, Kind, _Value], ...]] = (
    (
        "container_memory_working_set_bytes",
        "Current working set in bytes.",
        Kind.GAUGE,
        lambda usage: usage.memory_bytes,
    ),
    (
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        Kind.GAUGE,
        lambda usage: usage.memory_bytes,
    ),
    (
        "container_memory_rss",
        "Size of RSS in bytes.",
        Kind.GAUGE,
        lambda usage: usage.memory_bytes,
    ),
    (
        "container_processes",
        "Number of processes running inside the container.",
        Kind.GAUGE,
        lambda usage: usage.processes,
    ),
)


def cadvisor_metrics(node: NodeUsage) -> list[Family]:
    """Return all families."""
    used = running(node)
    pods = [(_of_pod(pod), usage) for pod in node.pods if (usage := total(pod)) is not None]
    everything = [*((_of_container(each), each.usage) for each in used), *pods]
    return [
        *(
            Family(
                name,
                text,
                kind,
                [
                    Sample(value(usage), labels, milliseconds(usage.at))
                    for labels, usage in everything
                ],
            )
            for name, text, kind, value in _SERIES
        ),
        Family(
            "container_cpu_usage_seconds_total",
            "Cumulative cpu time consumed in seconds.",
            Kind.COUNTER,
            [
                Sample(
                    usage.core_nanoseconds / NANO, labels | {"cpu": "total"}, milliseconds(usage.at)
                )
                for labels, usage in everything
            ],
        ),
        Family(
            "container_start_time_seconds",
            "Start time of the container since unix epoch in seconds.",
            Kind.GAUGE,
            [
                Sample(usage.since.timestamp(), labels, milliseconds(usage.at))
                for labels, usage in everything
            ],
        ),
        Family(
            "container_spec_memory_limit_bytes",
            "Memory limit for the container.",
            Kind.GAUGE,
            [
                Sample(
                    each.container.memory_limit_bytes or 0,
                    _of_container(each),
                    milliseconds(each.usage.at),
                )
                for each in used
            ],
        ),
        Family(
            "machine_cpu_cores",
            "Number of logical CPU cores.",
            Kind.GAUGE,
            [Sample(node.shown.cpu_millis / 1000)],
        ),
        Family(
            "machine_memory_bytes",
            "Amount of memory installed on the machine.",
            Kind.GAUGE,
            [Sample(node.shown.memory_capacity_bytes)],
        ),
    ]


def _of_container(used: Used) -> dict[str, str]:
    pod, container = used.pod, used.container
    return {
        "container": container.name,
        "id": f"/wasmlet/{pod.uid}/{container.name}",
        "image": container.image,
        "name": container.id.rpartition("/")[2],
        "namespace": pod.namespace,
        "pod": pod.name,
    }


def _of_pod(pod: PodUsage) -> dict[str, str]:
    return {
        "container": "",
        "id": f"/wasmlet/{pod.uid}",
        "image": "",
        "name": "",
        "namespace": pod.namespace,
        "pod": pod.name,
    }
