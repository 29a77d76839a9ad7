"""`/metrics/cadvisor`: the series of containers and of the machine that dashboards ask for.

Labels are cAdvisor's in a kubelet. A pod's own series have an empty container, as its cgroup's
have there.
"""

from collections.abc import Callable, Sequence
from typing import Final

from contract.messages.usage import PodUsage, Usage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.networkmetrics import network_metrics
from log_server.domain.nodeusage import NodeUsage, Used, milliseconds, running, total
from log_server.domain.resourcemetrics import NANO

type _Value = Callable[[Usage], float]
type _Labelled = tuple[dict[str, str], Usage]

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
    (
        "container_start_time_seconds",
        "Start time of the container since unix epoch in seconds.",
        Kind.GAUGE,
        lambda usage: usage.since.timestamp(),
    ),
)


def cadvisor_metrics(node: NodeUsage) -> list[Family]:
    """Return all families."""
    used = running(node)
    pods = [(_of_pod(pod), usage) for pod in node.pods if (usage := total(pod)) is not None]
    everything = [*((_of_container(each), each.usage) for each in used), *pods]
    return [
        *(_family(series, everything) for series in _SERIES),
        _cpu(everything),
        _limits(used),
        *network_metrics(node),
        *_machine(node),
    ]


def _family(series: tuple[str, str, Kind, _Value], everything: Sequence[_Labelled]) -> Family:
    name, text, kind, value = series
    samples = [Sample(value(usage), labels, milliseconds(usage.at)) for labels, usage in everything]
    return Family(name, text, kind, samples)


def _cpu(everything: Sequence[_Labelled]) -> Family:
    samples = [
        Sample(usage.core_nanoseconds / NANO, labels | {"cpu": "total"}, milliseconds(usage.at))
        for labels, usage in everything
    ]
    text = "Cumulative cpu time consumed in seconds."
    return Family("container_cpu_usage_seconds_total", text, Kind.COUNTER, samples)


def _limits(used: Sequence[Used]) -> Family:
    samples = [
        Sample(
            each.container.memory_limit_bytes or 0,
            _of_container(each),
            milliseconds(each.usage.at),
        )
        for each in used
    ]
    text = "Memory limit for the container."
    return Family("container_spec_memory_limit_bytes", text, Kind.GAUGE, samples)


def _machine(node: NodeUsage) -> list[Family]:
    cores = [Sample(node.shown.cpu_millis / 1000)]
    memory = [Sample(node.shown.memory_capacity_bytes)]
    return [
        Family("machine_cpu_cores", "Number of logical CPU cores.", Kind.GAUGE, cores),
        Family(
            "machine_memory_bytes",
            "Amount of memory installed on the machine.",
            Kind.GAUGE,
            memory,
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
