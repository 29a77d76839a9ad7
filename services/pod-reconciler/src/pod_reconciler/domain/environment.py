"""The environment of a container, with every reference to its pod and its node resolved."""

from collections.abc import Callable
from typing import Final

from pod_reconciler.domain.container import Container, EnvVar
from pod_reconciler.domain.expansion import expand
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.surroundings import Surroundings, pod_ip
from pod_reconciler.errors import PlanError

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


def environment_of(
    container: Container, path: str, pod: Pod, around: Surroundings
) -> dict[str, str]:
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
