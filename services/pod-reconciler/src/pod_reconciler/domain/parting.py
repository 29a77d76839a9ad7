"""The plan by which a pod ends that cannot be planned: another reconciler took it on.

Its node has a plan of it, this process has none to add the end to. So it ends by what can be said
of it: its containers by name, those with nothing wrong in them with their hooks and mounts, and
what those hooks run by. Nothing begins by such a plan, and its grace is the pod's own.
"""

from collections.abc import Iterator

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, ContainerRole, Deletion, Drain, PodPlan
from pod_reconciler.domain.material import NO_MATERIAL
from pod_reconciler.domain.naming import naming_of
from pod_reconciler.domain.planning import (
    MESSAGE_PATH,
    TOOLBOX_ANNOTATION,
    Planned,
    container_plan,
    drain_of,
)
from pod_reconciler.domain.pod import PlacedContainer, Pod
from pod_reconciler.domain.pullsecrets import pull_keys_of
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.surroundings import Surroundings, pod_ip
from pod_reconciler.domain.volumes import volumes_of
from pod_reconciler.errors import PlanError


def bare_parting(record: PodRecord, deletion: Deletion) -> Planned:
    """The pod's end by its names alone: nothing that could fail is made of it."""
    assert record.pod is not None
    containers = tuple(_bare(each) for each in _there(record))
    return Planned(_plan(record, containers, deletion), {})


def parting(record: PodRecord, around: Surroundings, deletion: Deletion) -> Planned:
    """The pod's end with all that can be planned of it."""
    pod = record.pod
    assert pod is not None
    try:
        volumes = volumes_of(pod, around)
    except PlanError:
        return bare_parting(record, deletion)  # what is mounted could not be named
    containers = tuple(_container(each, pod, around) for each in _there(record))
    pulls = pull_keys_of(pod, around)
    plan = msgspec.structs.replace(
        _plan(record, containers, deletion),
        pod_ip=pod_ip(pod, around),
        volumes=volumes.plans,
        pull_keys=pulls.keys,  # a hook's programs may have to be pulled yet
        pull_problem=pulls.problem,
        naming=naming_of(pod, around),
    )
    return Planned(plan, volumes.blobs, own=volumes.own)


def _plan(record: PodRecord, containers: tuple[ContainerPlan, ...], deletion: Deletion) -> PodPlan:
    pod = record.pod
    assert pod is not None
    handler = (record.material or NO_MATERIAL).handler
    metadata, spec = pod.metadata, pod.spec
    return PodPlan(
        uid=PodUid(metadata.uid),
        namespace=metadata.namespace,
        name=metadata.name,
        generation=metadata.generation,
        restart_policy=spec.restart_policy,
        termination_grace_s=spec.termination_grace_period_seconds,
        runtime_handler=handler if isinstance(handler, str) else "",
        drain=_drain(pod),
        toolbox=metadata.annotations.get(TOOLBOX_ANNOTATION, ""),
        containers=containers,
        deletion=deletion,
    )


def _there(record: PodRecord) -> Iterator[PlacedContainer]:
    """The containers that its node has: of ephemeral ones some may have been withheld."""
    assert record.pod is not None
    reported = None if record.report is None else {each.name for each in record.report.containers}
    for each in record.pod.spec.placed():
        is_sure = each.role is not ContainerRole.EPHEMERAL
        if is_sure or reported is None or each.container.name in reported:
            yield each


def _container(placed: PlacedContainer, pod: Pod, around: Surroundings) -> ContainerPlan:
    try:
        return container_plan(placed, pod, around)
    except PlanError:
        return _bare(placed)


def _bare(placed: PlacedContainer) -> ContainerPlan:
    container = placed.container
    return ContainerPlan(
        name=ContainerName(container.name),
        image=container.image,
        role=placed.role,
        restart_policy=container.restart_policy,
        message_path=container.termination_message_path or MESSAGE_PATH,
    )


def _drain(pod: Pod) -> Drain:
    try:
        return drain_of(pod)
    except PlanError:
        return Drain.NONE
