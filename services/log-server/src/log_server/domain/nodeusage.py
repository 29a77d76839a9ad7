"""What a node uses, as the endpoints of stats and metrics need it: sums over a pod's containers."""

from datetime import datetime
from typing import NamedTuple

from contract.ids import NodeName
from contract.messages.usage import ContainerUsage, PodUsage, Usage, UsageShown


class NodeUsage(NamedTuple):
    """A whole answer: the last page, and the pods of all of them."""

    name: NodeName
    shown: UsageShown
    pods: tuple[PodUsage, ...]


class Used(NamedTuple):
    """One running container."""

    pod: PodUsage
    container: ContainerUsage
    usage: Usage


def running_in(pod: PodUsage) -> list[Used]:
    """Return a pod's containers that run; the others use nothing."""
    return [Used(pod, each, each.usage) for each in pod.containers if each.usage is not None]


def running(node: NodeUsage) -> list[Used]:
    """Return the containers of all pods that run."""
    return [each for pod in node.pods for each in running_in(pod)]


def total(pod: PodUsage) -> Usage | None:
    """Return what a pod uses; None when nothing of it runs. Ended runs count for CPU time."""
    usages = [each.usage for each in running_in(pod)]
    if not usages:
        return None
    return Usage(
        at=max(each.at for each in usages),
        since=pod.started_at,
        core_nanoseconds=pod.ended_core_nanoseconds + sum(each.core_nanoseconds for each in usages),
        nano_cores=sum(each.nano_cores for each in usages),
        memory_bytes=sum(each.memory_bytes for each in usages),
        resident_bytes=sum(each.resident_bytes for each in usages),
        page_faults=sum(each.page_faults for each in usages),
        major_page_faults=sum(each.major_page_faults for each in usages),
        processes=sum(each.processes for each in usages),
    )


def memory_limit(pod: PodUsage) -> int | None:
    """Return the sum of the limits, where every container that runs has one."""
    limits = [each.container.memory_limit_bytes for each in running_in(pod)]
    known = [each for each in limits if each is not None]
    return sum(known) if limits and len(known) == len(limits) else None


def milliseconds(instant: datetime) -> int:
    """Return a time as Prometheus writes it."""
    return round(instant.timestamp() * 1000)
