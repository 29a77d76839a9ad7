"""From a pod to its plan: every reference resolved, so that an executor needs no API object.

Planning the same pod twice gives the same plan, byte for byte: the two sides compare digests.
"""

from collections.abc import Collection
from datetime import timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from contract.ids import ContainerName, PodUid
from contract.messages.pod import (
    ContainerPlan,
    Deletion,
    Drain,
    FileVariable,
    MessagePolicy,
    PodPlan,
)
from contract.messages.volume import Mount
from pod_reconciler.domain.cgiroutes import cgi_rules, require_known_containers
from pod_reconciler.domain.container import Container
from pod_reconciler.domain.environment import HOSTNAME, environment_of
from pod_reconciler.domain.expansion import expand
from pod_reconciler.domain.handlers import hooks_of, probes_of
from pod_reconciler.domain.httprules import http_rules, tcp_ports
from pod_reconciler.domain.naming import hostname_of, naming_of
from pod_reconciler.domain.pod import PlacedContainer, Pod
from pod_reconciler.domain.pulling import default_pull_policy
from pod_reconciler.domain.pullsecrets import pull_keys_of
from pod_reconciler.domain.restarting import rules_of
from pod_reconciler.domain.surroundings import Surroundings, pod_ip
from pod_reconciler.domain.volumes import mounts_of, volumes_of
from pod_reconciler.errors import ContainerConfigError, PlanError
from podspec.errors import QuantityError
from podspec.quantity import parse_quantity, whole_units

MESSAGE_PATH: Final = "/dev/termination-log"
DRAIN_ANNOTATION: Final = "wasmlet.dev/drain"
TOOLBOX_ANNOTATION: Final = "wasmlet.dev/toolbox"
MAX_GRACE_S: Final = 2**31 - 1
"""68 years. Past 292 the API server's own reckoning overflows, and its time means nothing."""


class Planned(NamedTuple):
    """A plan, the contents that it names by digest, and what it does without."""

    plan: PodPlan
    blobs: dict[str, bytes]
    lacking_secrets: tuple[str, ...] = ()
    """The pull secrets that are not to be had; the pod is planned without."""
    own: tuple[bytes, ...] = ()
    """The contents that no other pod has."""


def plan_of(pod: Pod, around: Surroundings, withheld: Collection[str] = ()) -> PodPlan:
    """Return the pod's plan alone; see `planned`."""
    return planned(pod, around, withheld).plan


def planned(pod: Pod, around: Surroundings, withheld: Collection[str] = ()) -> Planned:
    """Return the pod's plan, or raise `PlanError` naming the field that allows none.

    Containers that are withheld are left out.
    """
    volumes = volumes_of(pod, around)
    pulls = pull_keys_of(pod, around)
    metadata, spec = pod.metadata, pod.spec
    placed = [each for each in spec.placed() if each.container.name not in withheld]
    require_known_containers(metadata.annotations, (each.container.name for each in spec.placed()))
    plan = PodPlan(
        uid=PodUid(metadata.uid),
        namespace=metadata.namespace,
        name=metadata.name,
        generation=metadata.generation,
        restart_policy=spec.restart_policy,
        termination_grace_s=spec.termination_grace_period_seconds,
        runtime_handler=around.runtime_handler,
        pod_ip=pod_ip(pod, around),
        drain=drain_of(pod),
        toolbox=metadata.annotations.get(TOOLBOX_ANNOTATION, ""),
        http=http_rules(metadata.annotations),
        active_deadline_s=spec.active_deadline_seconds,
        containers=tuple(container_plan(each, pod, around) for each in placed),
        volumes=volumes.plans,
        pull_keys=pulls.keys,
        pull_problem=pulls.problem,
        naming=naming_of(pod, around),
        deletion=deletion_of(pod),
    )
    return Planned(plan, volumes.blobs, pulls.lacking, volumes.own)


def deletion_of(pod: Pod) -> Deletion | None:
    """When its end was asked for in the API, and how long it may take; None where it was not."""
    deleted_at = pod.metadata.deletion_timestamp
    if deleted_at is None:
        return None
    asked_s = pod.metadata.deletion_grace_period_seconds
    grace_s = pod.spec.termination_grace_period_seconds if asked_s is None else asked_s
    if grace_s > MAX_GRACE_S:
        return Deletion(requested_at=deleted_at, grace_s=MAX_GRACE_S)
    # The API server writes down when the pod shall be gone, not when that was asked for.
    return Deletion(requested_at=deleted_at - timedelta(seconds=grace_s), grace_s=grace_s)


def drain_of(pod: Pod) -> Drain:
    """How its guests are asked to end; raises `PlanError` for another word."""
    asked = pod.metadata.annotations.get(DRAIN_ANNOTATION)
    if asked is None:
        return Drain.NONE
    try:
        return Drain(asked)
    except ValueError as error:
        allowed = ", ".join(Drain)
        problem = f"{asked!r} is not one of {allowed}"
        raise PlanError(f"metadata.annotations[{DRAIN_ANNOTATION}]", problem) from error


def container_plan(placed: PlacedContainer, pod: Pod, around: Surroundings) -> ContainerPlan:
    """One container's plan, or `PlanError`. What it lacks for now is said in the plan."""
    container, role, path = placed
    world = _world_of(container, path, pod, around)
    startup, readiness, liveness = probes_of(container, path)
    post_start, pre_stop = hooks_of(container, path)
    cgi = cgi_rules(pod.metadata.annotations, container.name)
    return ContainerPlan(
        name=ContainerName(container.name),
        image=container.image,
        pull_policy=container.image_pull_policy or default_pull_policy(container.image),
        command=tuple(expand(word, world.variables) for word in container.command),
        args=tuple(expand(word, world.variables) for word in container.args),
        working_dir=container.working_dir,
        env=tuple((world.own | world.variables).items()),
        file_variables=world.of_files,
        memory_limit_bytes=_memory_limit(container, path),
        cpu_limit_millis=_cpu_limit(container, path),
        ports=tcp_ports(container),
        routes=cgi.routes,
        allowed_hosts=cgi.allowed_hosts,
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        role=role,
        restart_policy=container.restart_policy,
        restart_rules=rules_of(container),
        startup=startup,
        readiness=readiness,
        liveness=liveness,
        post_start=post_start,
        pre_stop=pre_stop,
        message_path=container.termination_message_path or MESSAGE_PATH,
        message_policy=_message_policy(container, path),
        mounts=world.mounts,
        config_error=world.config_error,
    )


class _World(NamedTuple):
    """A container's variables and mounts, or what it lacks of them."""

    own: dict[str, str]
    """The runtime's: references cannot name them, and the pod may set others."""
    variables: dict[str, str]
    of_files: tuple[FileVariable, ...]
    mounts: tuple[Mount, ...]
    config_error: str = ""


def _world_of(container: Container, path: str, pod: Pod, around: Surroundings) -> _World:
    own: dict[str, str] = {}
    try:
        own = {HOSTNAME: hostname_of(pod, around)}
        variables, of_files = environment_of(container, path, pod, around)
        return _World(own, variables, of_files, mounts_of(container, path, pod, variables))
    except ContainerConfigError as error:
        return _World(own, {}, (), (), config_error=str(error))


def _message_policy(container: Container, path: str) -> MessagePolicy:
    asked = container.termination_message_policy or MessagePolicy.FILE
    try:
        return MessagePolicy(asked)
    except ValueError as error:
        field = f"{path}.terminationMessagePolicy"
        raise PlanError(field, f"{asked!r} is not supported") from error


def _memory_limit(container: Container, path: str) -> int | None:
    limit = _limit(container, path, "memory")
    return None if limit is None else whole_units(limit)


def _cpu_limit(container: Container, path: str) -> int | None:
    limit = _limit(container, path, "cpu")
    return None if limit is None else whole_units(limit * 1000)


def _limit(container: Container, path: str, of: str) -> Fraction | None:
    limit = (container.resources.get("limits") or {}).get(of)
    if limit is None:
        return None
    try:
        return parse_quantity(limit)
    except QuantityError as error:
        raise PlanError(f"{path}.resources.limits.{of}", str(error)) from error
