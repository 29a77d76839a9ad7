"""`/metrics/probes`: how often probes have ended how, and what they took."""

from collections.abc import Iterator
from typing import Final

from contract.messages.usage import ContainerUsage, PodUsage, ProbeCount
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage

BOUNDS: Final = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")

type _Probed = tuple[PodUsage, ContainerUsage, ProbeCount]


def probe_metrics(node: NodeUsage) -> list[Family]:
    """Return both families; a pod that has no probe has no series."""
    probed = [
        (pod, container, count)
        for pod in node.pods
        for container in pod.containers
        for count in container.probes
    ]
    return [
        Family(
            "prober_probe_total",
            "[BETA] Cumulative number of a liveness, readiness or startup probe for a container"
            " by result.",
            Kind.COUNTER,
            [sample for each in probed for sample in _results(each)],
        ),
        Family(
            "prober_probe_duration_seconds",
            "[ALPHA] Duration in seconds for a probe response.",
            Kind.HISTOGRAM,
            [sample for each in probed for sample in _durations(each)],
        ),
    ]


def _labels(probed: _Probed) -> dict[str, str]:
    pod, container, count = probed
    return {
        "probe_type": count.kind.capitalize(),
        "container": container.name,
        "pod": pod.name,
        "namespace": pod.namespace,
    }


def _results(probed: _Probed) -> Iterator[Sample]:
    pod, _, count = probed
    results = {"successful": count.successful, "failed": count.failed, "unknown": count.unknown}
    for result, number in results.items():
        if number:
            yield Sample(number, _labels(probed) | {"result": result, "pod_uid": pod.uid})


def _durations(probed: _Probed) -> Iterator[Sample]:
    count, labels = probed[2], _labels(probed)
    timed = count.successful + count.unknown  # the kubelet keeps no time of a failure
    if not timed:
        return
    for bound, number in zip(BOUNDS, count.buckets, strict=False):
        yield Sample(number, labels | {"le": bound}, suffix="_bucket")
    yield Sample(timed, labels | {"le": "+Inf"}, suffix="_bucket")
    yield Sample(count.seconds, labels, suffix="_sum")
    yield Sample(timed, labels, suffix="_count")
