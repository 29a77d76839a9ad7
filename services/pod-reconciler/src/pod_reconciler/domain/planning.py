"""From a pod to its plan: every reference resolved, so that an executor needs no API object.

Planning the same pod twice gives the same plan, byte for byte: the two sides compare digests.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, Deletion, Drain, PodPlan, PullPolicy
from pod_reconciler.domain.expansion import expand
from pod_reconciler.domain.pod import Container, EnvVar, Pod
from pod_reconciler.errors import PlanError
from podspec.errors import QuantityError
from podspec.quantity import parse_quantity, whole_units

DRAIN_ANNOTATION: Final = "wasmlet.dev/drain"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod may ask about its node. A pod shares its node's address here (host network)."""

    node: str
    host_ip: str
    runtime_handler: str = ""


def pod_ip(pod: Pod, around: Surroundings) -> str:
    """The pod's address: what the API shows once it does, for it never changes."""
    return str(pod.status.get("podIP") or around.host_ip)


_PLAIN_FIELDS: Final[dict[str, Callable[[Pod, Surroundings], str]]] = {
    "metadata.name": lambda pod, _: pod.metadata.name,
    "metadata.namespace": lambda pod, _: pod.metadata.namespace,
    "metadata.uid": lambda pod, _: pod.metadata.uid,
    "spec.nodeName": lambda _, around: around.node,
    "spec.serviceAccountName": lambda pod, _: pod.spec.service_account_name,
    "status.hostIP": lambda _, around: around.host_ip,
    "status.hostIPs": lambda _, around: around.host_ip,
    "status.podIP": pod_ip,
    "status.podIPs": pod_ip,
}


def plan_of(pod: Pod, around: Surroundings) -> PodPlan:
    """Return the pod's plan, or raise `PlanError` naming the field that allows none."""
    metadata, spec = pod.metadata, pod.spec
    return PodPlan(
        uid=PodUid(metadata.uid),
        namespace=metadata.namespace,
        name=metadata.name,
        generation=metadata.generation,
        restart_policy=spec.restart_policy,
        termination_grace_s=spec.termination_grace_period_seconds,
        runtime_handler=around.runtime_handler,
        drain=_drain(pod),
        containers=tuple(
            _container(container, index, pod, around)
            for index, container in enumerate(spec.containers)
        ),
        deletion=_deletion(pod),
    )


def _deletion(pod: Pod) -> Deletion | None:
    deleted_at = pod.metadata.deletion_timestamp
    if deleted_at is None:
        return None
    asked_s = pod.metadata.deletion_grace_period_seconds
    grace_s = pod.spec.termination_grace_period_seconds if asked_s is None else asked_s
    # The API server writes down when the pod shall be gone, not when that was asked for.
    return Deletion(requested_at=deleted_at - timedelta(seconds=grace_s), grace_s=grace_s)


def _drain(pod: Pod) -> Drain:
    asked = pod.metadata.annotations.get(DRAIN_ANNOTATION)
    if asked is None:
        return Drain.NONE
    try:
        return Drain(asked)
    except ValueError as error:
        allowed = ", ".join(Drain)
        problem = f"{asked!r} is not one of {allowed}"
        raise PlanError(f"metadata.annotations[{DRAIN_ANNOTATION}]", problem) from error


def _container(container: Container, index: int, pod: Pod, around: Surroundings) -> ContainerPlan:
    path = f"spec.containers[{index}]"
    environment = _environment(container, path, pod, around)
    return ContainerPlan(
        name=ContainerName(container.name),
        image=container.image,
        pull_policy=container.image_pull_policy or default_pull_policy(container.image),
        command=tuple(expand(word, environment) for word in container.command),
        args=tuple(expand(word, environment) for word in container.args),
        env=tuple(environment.items()),
        memory_limit_bytes=_memory_limit(container, path),
        stdin=container.stdin,
    )


def default_pull_policy(image: str) -> PullPolicy:
    """What the API server would fill in: `Always` for `:latest` and for no tag at all."""
    if image.startswith("file:") or "@" in image:
        return PullPolicy.IF_NOT_PRESENT
    _, _, last = image.rpartition("/")
    _, _, tag = last.partition(":")
    return PullPolicy.ALWAYS if tag in ("", "latest") else PullPolicy.IF_NOT_PRESENT


def _environment(container: Container, path: str, pod: Pod, around: Surroundings) -> dict[str, str]:
    """In order; a later variable may use an earlier one, and wins over one of its name."""
    environment: dict[str, str] = {}
    for index, variable in enumerate(container.env):
        value = _value(variable, f"{path}.env[{index}]", pod, around)
        environment[variable.name] = expand(value, environment) if variable.value else value
    return environment


def _value(variable: EnvVar, path: str, pod: Pod, around: Surroundings) -> str:
    source = variable.value_from
    if variable.value or source is None:
        return variable.value
    if source.field_ref is None:
        raise PlanError(f"{path}.valueFrom", "this source is not supported")
    return field_value(source.field_ref.field_path, f"{path}.valueFrom", pod, around)


def field_value(field: str, path: str, pod: Pod, around: Surroundings) -> str:
    """Return what a `fieldRef` names; raises `PlanError` for a field that it may not."""
    plain = _PLAIN_FIELDS.get(field)
    if plain is not None:
        return plain(pod, around)
    name, opened, key = field.partition("['")
    if opened and key.endswith("']"):
        maps = {
            "metadata.labels": pod.metadata.labels,
            "metadata.annotations": pod.metadata.annotations,
        }
        if name in maps:
            return maps[name].get(key.removesuffix("']"), "")
    raise PlanError(f"{path}.fieldRef.fieldPath", f"unsupported fieldPath: {field}")


def _memory_limit(container: Container, path: str) -> int | None:
    limit = (container.resources.get("limits") or {}).get("memory")
    if limit is None:
        return None
    try:
        return whole_units(parse_quantity(limit))
    except QuantityError as error:
        raise PlanError(f"{path}.resources.limits.memory", str(error)) from error
