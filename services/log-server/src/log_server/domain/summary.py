"""`/stats/summary`: the kubelet's Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1).

What cannot be known is left out, as there: pressure stalls, swap, and the network of pods, which
share the node's.
"""

from datetime import UTC, datetime
from typing import Any, Final

from contract.messages.usage import (
    FileSystem,
    FileUsage,
    NetworkUsage,
    PodUsage,
    Usage,
    VolumeUsage,
)
from log_server.domain.nodeusage import NodeUsage, Used, memory_limit, running_in, total

_INTERFACE: Final = "eth0"

type Fields = dict[str, Any]
"""JSON in the making."""


def summary(node: NodeUsage, *, files: bool) -> Fields:
    """Return the whole answer; without `files`, CPU and memory alone."""
    shown = node.shown
    room = shown.file_system if files else None
    network = shown.network if files else None
    return {
        "node": {
            "nodeName": node.name,
            "systemContainers": _system_containers(node),
            "startTime": _time(shown.node.since),
            **_cpu_and_memory(shown.node, shown.memory_capacity_bytes),
            **_network(network),
            **_node_files(node, room),
        },
        "pods": [_pod(pod, room) for pod in node.pods],
    }


def _network(network: NetworkUsage | None) -> Fields:
    """A kubelet's own fields are those of `eth0`, whatever else there is."""
    if network is None:
        return {}
    interfaces = [
        {
            "name": each.name,
            "rxBytes": each.received_bytes,
            "rxErrors": each.received_errors,
            "txBytes": each.sent_bytes,
            "txErrors": each.sent_errors,
        }
        for each in network.interfaces
    ]
    first = next((each for each in interfaces if each["name"] == _INTERFACE), {"name": ""})
    return {"network": {"time": _time(network.at), **first, "interfaces": interfaces}}


def _system_containers(node: NodeUsage) -> list[Fields]:
    services = node.shown.services
    usages = [usage for pod in node.pods if (usage := total(pod)) is not None]
    containers = [("kubelet", services)]
    if usages:
        containers.append(("pods", _sum_of_pods(node.shown.node, usages)))
    return [
        {"name": name, "startTime": _time(usage.since), **_cpu_and_memory(usage, None)}
        for name, usage in containers
    ]


def _sum_of_pods(node: Usage, pods: list[Usage]) -> Usage:
    return Usage(
        at=max(each.at for each in pods),
        since=node.since,
        core_nanoseconds=sum(each.core_nanoseconds for each in pods),
        nano_cores=sum(each.nano_cores for each in pods),
        memory_bytes=sum(each.memory_bytes for each in pods),
        page_faults=sum(each.page_faults for each in pods),
        major_page_faults=sum(each.major_page_faults for each in pods),
    )


def _node_files(node: NodeUsage, room: FileSystem | None) -> Fields:
    if room is None:
        return {}
    used = room.capacity_bytes - room.available_bytes
    whole = _room(room) | {"usedBytes": used, "inodesUsed": room.inodes - room.inodes_free}
    images = node.shown.images
    of_images = whole if images is None else _files(images, room)
    return {"fs": whole, "runtime": {"imageFs": of_images, "containerFs": whole}}


def _pod(pod: PodUsage, room: FileSystem | None) -> Fields:
    fields: Fields = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": _time(pod.started_at),
        "containers": [_container(each, room) for each in running_in(pod)],
    }
    usage = total(pod)
    if usage is not None:
        fields |= _cpu_and_memory(usage, memory_limit(pod))
    if room is not None:
        fields |= _pod_files(pod, room)
        fields["process_stats"] = {"process_count": usage.processes if usage is not None else 0}
    return fields


def _pod_files(pod: PodUsage, room: FileSystem) -> Fields:
    fields: Fields = {}
    if pod.volumes:
        fields["volume"] = [
            # What is in memory is no part of the disk, and has no room of its own.
            _volume(pod, each, None if each.in_memory else room)
            for each in pod.volumes
        ]
    on_disk = [each.files for each in pod.volumes if not each.in_memory and not each.claim]
    on_disk += [each.logs for each in pod.containers if each.logs is not None]
    if on_disk:
        whole = FileUsage(
            at=max(each.at for each in on_disk),
            used_bytes=sum(each.used_bytes for each in on_disk),
            files=sum(each.files for each in on_disk),
        )
        fields["ephemeral-storage"] = _files(whole, room)
    return fields


def _volume(pod: PodUsage, volume: VolumeUsage, room: FileSystem | None) -> Fields:
    fields = {**_files(volume.files, volume.room or room), "name": volume.name}
    if volume.claim:
        fields["pvcRef"] = {"name": volume.claim, "namespace": pod.namespace}
    return fields


def _container(used: Used, room: FileSystem | None) -> Fields:
    fields: Fields = {
        "name": used.container.name,
        "startTime": _time(used.usage.since),
        **_cpu_and_memory(used.usage, used.container.memory_limit_bytes),
    }
    logs = used.container.logs
    if room is not None:
        # A container has no writable layer: what it writes is in volumes.
        fields["rootfs"] = _room(room) | {"usedBytes": 0, "inodesUsed": 0}
        if logs is not None:
            fields["logs"] = _files(logs, room)
    return fields


def _cpu_and_memory(usage: Usage, limit_bytes: int | None) -> Fields:
    memory: Fields = {
        "time": _time(usage.at),
        "usageBytes": usage.memory_bytes,
        "workingSetBytes": usage.memory_bytes,
        "rssBytes": usage.memory_bytes,
        "pageFaults": usage.page_faults,
        "majorPageFaults": usage.major_page_faults,
    }
    if limit_bytes is not None:
        memory["availableBytes"] = max(0, limit_bytes - usage.memory_bytes)
    cpu = {
        "time": _time(usage.at),
        "usageNanoCores": usage.nano_cores,
        "usageCoreNanoSeconds": usage.core_nanoseconds,
    }
    return {"cpu": cpu, "memory": memory}


def _room(room: FileSystem) -> Fields:
    return {
        "time": _time(room.at),
        "availableBytes": room.available_bytes,
        "capacityBytes": room.capacity_bytes,
        "inodesFree": room.inodes_free,
        "inodes": room.inodes,
    }


def _files(files: FileUsage, room: FileSystem | None) -> Fields:
    fields = {} if room is None else _room(room)
    fields |= {"time": _time(files.at), "usedBytes": files.used_bytes}
    return fields | ({"inodesUsed": files.files} if files.files else {})


def _time(instant: datetime) -> str:
    """Return a time as metav1.Time writes it: whole seconds in UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
