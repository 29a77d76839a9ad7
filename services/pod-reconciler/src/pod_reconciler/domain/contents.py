"""The files of a configMap, secret, downwardAPI or projected volume, or what they lack.

Later sources win over earlier ones; everything that lacks is told at once, as the kubelet tells it.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pod_reconciler.domain.amounts import resource_value
from pod_reconciler.domain.material import Content, Kind, Lack, TokenKey
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.quoting import quoted
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.volume import (
    DownwardFile,
    DownwardSource,
    KeyedSource,
    Projection,
    TokenSource,
    Volume,
)
from pod_reconciler.errors import ContainerConfigError, PlanError

_ABSENT_KEYS: Final = {
    Kind.CONFIG_MAP: "configmap references non-existent config key: ",
    Kind.SECRET: "references non-existent secret key: ",
}


class File(NamedTuple):
    """A file's content and mode."""

    data: bytes
    mode: int
    is_own: bool = False
    """Whether it is about this pod, so that no other has it."""


class _LackingError(Exception):
    """A source cannot be had; its text is the kubelet's."""


def files_of(volume: Volume, path: str, pod: Pod, around: Surroundings) -> dict[str, File] | Lack:
    """The volume's files by their paths. Raises `PlanError` for a path that leads out of it."""
    default_mode = volume.default_mode
    assert default_mode is not None, "it is a volume of files"
    files: dict[str, File] = {}
    lacks: list[str] = []
    for source in volume.projections():
        try:
            files |= dict(_projected(source, default_mode, pod, around))
        except (_LackingError, ContainerConfigError) as error:
            lacks.append(str(error))
    for name in files:
        if posixpath.isabs(name) or ".." in name.split("/") or name in ("", "."):
            raise PlanError(path, f"{name!r} is no path of a file in a volume")
    if lacks:
        told = list(dict.fromkeys(lacks))
        return Lack(problem=told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return dict(sorted(files.items()))


def _projected(
    source: Projection, mode: int, pod: Pod, around: Surroundings
) -> Iterator[tuple[str, File]]:
    if source.config_map is not None:
        yield from _keyed(Kind.CONFIG_MAP, source.config_map, mode, around)
    if source.secret is not None:
        yield from _keyed(Kind.SECRET, source.secret, mode, around)
    if source.downward_api is not None:
        yield from _downward(source.downward_api, mode, pod, around)
    if source.service_account_token is not None:
        yield _token(source.service_account_token, mode, around)


def _keyed(
    kind: Kind, source: KeyedSource, mode: int, around: Surroundings
) -> Iterator[tuple[str, File]]:
    found = around.material.find(kind, source.name)
    if isinstance(found, Lack):
        if not (source.optional and found.is_absent):
            raise _LackingError(found.problem)
        found = Content()
    content = {**found.binary, **found.data} if source.items else {**found.data, **found.binary}
    if not source.items:
        yield from ((key, File(data, mode)) for key, data in content.items())
    for item in source.items:
        data = content.get(item.key)
        if data is not None:
            yield posixpath.normpath(item.path), File(data, _mode(item.mode, mode))
        elif not source.optional:
            raise _LackingError(f"{_ABSENT_KEYS[kind]}{item.key}")


def _downward(
    source: DownwardSource, mode: int, pod: Pod, around: Surroundings
) -> Iterator[tuple[str, File]]:
    for item in source.items:
        value = _downward_value(item, pod, around)
        file = File(value.encode(), _mode(item.mode, mode), is_own=True)
        yield posixpath.normpath(item.path), file


def _downward_value(item: DownwardFile, pod: Pod, around: Surroundings) -> str:
    if item.field_ref is not None:
        return _field(item.field_ref.field_path, pod)
    if item.resource_field_ref is not None:
        name = item.resource_field_ref.container_name
        containers = (placed.container for placed in pod.spec.placed())
        container = next((each for each in containers if each.name == name), None)
        if container is None:
            raise _LackingError(f"container {name} not found")
        return resource_value(item.resource_field_ref, container, pod, around)
    return ""


def _field(path: str, pod: Pod) -> str:
    metadata = pod.metadata
    maps = {"metadata.labels": metadata.labels, "metadata.annotations": metadata.annotations}
    if path in maps:
        return _lines(maps[path])
    name, opened, key = path.partition("['")
    if opened and key.endswith("']") and name in maps:
        return maps[name].get(key.removesuffix("']"), "")
    plain = {
        "metadata.name": metadata.name,
        "metadata.namespace": metadata.namespace,
        "metadata.uid": metadata.uid,
    }
    if path not in plain:
        raise _LackingError(f"unsupported fieldPath: {path}")
    return plain[path]


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={quoted(value)}" for key, value in sorted(values.items()))


def _token(source: TokenSource, mode: int, around: Surroundings) -> tuple[str, File]:
    key = TokenKey(source.audience, source.expiration_seconds)
    token = around.material.tokens.get(key, Lack(problem="failed to fetch token: not read yet"))
    if isinstance(token, Lack):
        raise _LackingError(token.problem)
    return posixpath.normpath(source.path), File(token.encode(), mode, is_own=True)


def _mode(own: int | None, default: int) -> int:
    return default if own is None else own
