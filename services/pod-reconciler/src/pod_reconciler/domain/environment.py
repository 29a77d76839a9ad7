"""The environment of a container, with every reference to pod, node and API objects resolved.

Variables of Services are the least, those of `envFrom` win over them, and those of `env` over all.
A mandatory value that is not there is no fault of the pod: it may come, so the container waits.
"""

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from contract.messages.pod import FileVariable, file_variable_mark
from pod_reconciler.domain.amounts import resource_value
from pod_reconciler.domain.container import Container
from pod_reconciler.domain.expansion import expand
from pod_reconciler.domain.material import Content, Kind
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.surroundings import Surroundings, pod_ip
from pod_reconciler.domain.variable import EnvVar, KeyRef, ObjectRef, ValueSource
from pod_reconciler.errors import ContainerConfigError, PlanError

HOSTNAME: Final = "HOSTNAME"
UNSYNCED: Final = "services have not yet been read at least once, cannot construct envvars"
_TITLES: Final = {Kind.CONFIG_MAP: "ConfigMap", Kind.SECRET: "Secret"}

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


class Environment(NamedTuple):
    """The variables in order. For values that are in files their marks stand there."""

    variables: dict[str, str]
    of_files: tuple[FileVariable, ...]


def environment_of(container: Container, path: str, pod: Pod, around: Surroundings) -> Environment:
    """In order; a later variable may use an earlier one, and wins over one of its name.

    Raises `ContainerConfigError` for what is not there, `PlanError` for what never will be.
    """
    services = around.material.services
    if services is None:
        raise ContainerConfigError(UNSYNCED)
    environment: dict[str, str] = {}
    known = ChainMap(environment, dict(services))
    for variables in container.env_from:
        for kind, ref in (
            (Kind.CONFIG_MAP, variables.config_map_ref),
            (Kind.SECRET, variables.secret_ref),
        ):
            if ref is not None:
                environment.update(_all_of(kind, ref, variables.prefix, around))
    of_files: list[FileVariable] = []
    for index, variable in enumerate(container.env):
        file = _of_file(variable, known)
        if file is not None:
            environment[variable.name] = file_variable_mark(len(of_files))
            of_files.append(file)
            continue
        value = _value(variable, f"{path}.env[{index}]", container, pod, around)
        if value is not None:
            environment[variable.name] = expand(value, known) if variable.value else value
    return Environment(dict(services) | environment, tuple(of_files))


def _of_file(variable: EnvVar, known: Mapping[str, str]) -> FileVariable | None:
    ref = None if variable.value_from is None else variable.value_from.file_key_ref
    if variable.value or ref is None:
        return None
    return FileVariable(
        name=variable.name,
        volume=ref.volume_name,
        path=ref.path,
        key=ref.key,
        optional=ref.optional,
        before=known.get(variable.name),
    )


def _all_of(kind: Kind, ref: ObjectRef, prefix: str, around: Surroundings) -> dict[str, str]:
    content = _content(kind, ref.name, around, is_optional=ref.optional)
    return {
        f"{prefix}{key}": _text(kind, ref.name, key, value)
        for key, value in sorted(content.data.items() if content else ())
    }


def _value(
    variable: EnvVar, path: str, container: Container, pod: Pod, around: Surroundings
) -> str | None:
    """The value before expansion; None for an optional one that is not there."""
    source = variable.value_from
    if variable.value or source is None:
        return variable.value
    if source.field_ref is not None:
        return field_value(source.field_ref.field_path, f"{path}.valueFrom", pod, around)
    if source.resource_field_ref is not None:
        return resource_value(source.resource_field_ref, container, pod, around)
    return _keyed_value(source, f"{path}.valueFrom", pod, around)


def _keyed_value(source: ValueSource, path: str, pod: Pod, around: Surroundings) -> str | None:
    if source.config_map_key_ref is not None:
        return _of_key(Kind.CONFIG_MAP, source.config_map_key_ref, pod, around)
    if source.secret_key_ref is not None:
        return _of_key(Kind.SECRET, source.secret_key_ref, pod, around)
    raise PlanError(path, "this source is not supported")


def _of_key(kind: Kind, ref: KeyRef, pod: Pod, around: Surroundings) -> str | None:
    content = _content(kind, ref.name, around, is_optional=ref.optional)
    if content is None:
        return None
    value = content.data.get(ref.key)
    if value is not None:
        return _text(kind, ref.name, ref.key, value)
    if ref.optional:
        return None
    owner = f"{_TITLES[kind]} {pod.metadata.namespace}/{ref.name}"
    raise ContainerConfigError(f"couldn't find key {ref.key} in {owner}")


def _content(kind: Kind, name: str, around: Surroundings, *, is_optional: bool) -> Content | None:
    found = around.material.find(kind, name)
    if isinstance(found, Content):
        return found
    if is_optional and found.is_absent:
        return None
    raise ContainerConfigError(found.problem)


def _text(kind: Kind, name: str, key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        # Without the error, which would show a part of the secret.
        problem = f'{kind} "{name}": the value of key {key} is not UTF-8, which a variable must be'
        raise ContainerConfigError(problem) from None


def field_value(field: str, path: str, pod: Pod, around: Surroundings) -> str:
    """Return what a `fieldRef` names; raises `PlanError` for a field that it may not."""
    plain = _PLAIN_FIELDS.get(field)
    if plain is not None:
        return plain(pod, around)
    name, opened, key = field.partition("['")
    if opened and key.endswith("']"):
        maps: dict[str, Mapping[str, str]] = {
            "metadata.labels": pod.metadata.labels,
            "metadata.annotations": pod.metadata.annotations,
        }
        if name in maps:
            return maps[name].get(key.removesuffix("']"), "")
    raise PlanError(f"{path}.fieldRef.fieldPath", f"unsupported fieldPath: {field}")
