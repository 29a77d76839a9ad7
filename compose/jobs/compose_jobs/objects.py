"""Applies manifests to a cluster that is starting, and waits until a pod could be made there."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from compose_jobs.errors import JobError, SilentError
from controlplane.plane import KUBELET_CLIENT_BINDING
from kubekit.client import Api, api_client
from kubekit.errors import ApiError, NotFoundError

WITHIN_S: Final = 120.0
LOOK_EVERY_S: Final = 0.5
_APPLY: Final = "application/apply-patch+yaml"


class _Resource(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool


class _Resources(msgspec.Struct, frozen=True):
    resources: tuple[_Resource, ...]


async def apply_objects(kubeconfig: Path, manifests: Iterable[Path]) -> None:
    """Applies them in their order, once the API server answers."""
    async with api_client(kubeconfig, user_agent="wasmlet-compose") as api:
        await _await_found(api, "/readyz")
        await _apply(api, KUBELET_CLIENT_BINDING)
        for document in _documents(manifests):
            await _apply(api, document)
        # The controller-manager makes it, and the API server refuses pods before that.
        await _await_found(api, "/api/v1/namespaces/default/serviceaccounts/default")


def _documents(manifests: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    for path in manifests:
        yield from (each for each in yaml.safe_load_all(path.read_text()) if each)


async def _await_found(api: Api, path: str) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await _is_found(api, path):  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as error:
        raise SilentError(f"{path} was not there after {WITHIN_S:.0f} s") from error


async def _is_found(api: Api, path: str) -> bool:
    try:
        await api.request("GET", path)
    except ApiError as error:
        if not error.retryable and not isinstance(error, NotFoundError):
            raise JobError(f"{path}: {error}") from error
        return False
    return True


async def _apply(api: Api, document: Mapping[str, Any]) -> None:
    group, metadata = document["apiVersion"], document["metadata"]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    try:
        resource = await _resource(api, root, document["kind"])
        scope = f"/namespaces/{metadata.get('namespace', 'default')}" if resource.namespaced else ""
        await api.request(
            "PATCH",
            f"{root}{scope}/{resource.name}/{metadata['name']}",
            query={"fieldManager": "wasmlet-compose", "force": "true"},
            body=msgspec.json.encode(document),
            content_type=_APPLY,
        )
    except ApiError as error:
        raise JobError(f"{document['kind']} {metadata['name']}: {error}") from error


async def _resource(api: Api, root: str, kind: str) -> _Resource:
    answer = await api.request("GET", root)
    for each in msgspec.json.decode(answer.body, type=_Resources).resources:
        if each.kind == kind and "/" not in each.name:
            return each
    raise JobError(f"the cluster knows no {kind} in {root}")
