"""The cluster edge: Nodes and their Leases, by raw requests.

Every write asks the leadership first and gets no more time than that has left, names the UID that
it means, and fails with an `ApiError` that says what to do next.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from contract.ids import NodeName
from kubekit.client import Api, Response
from kubekit.errors import (
    ApiError,
    ConflictError,
    MalformedAnswerError,
    NotFoundError,
)
from kubekit.leadership import Leadership
from kubekit.patches import MERGE, STRATEGIC_MERGE, object_patch
from node_registrar.domain.lease import NAMESPACE, new_lease, renewed
from node_registrar.domain.node_view import HostView, NodeMeta, NodeView, decode_host, decode_node

NODES: Final = "/api/v1/nodes"
_LEASES: Final = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_PUT_TRIES: Final = 5
LEAVING_MARK: Final = "wasmlet.dev/leaving"
"""The annotation of the installation's ConfigMap that its removal sets."""


class Cluster:
    """One API server, seen through one leadership, and when it last answered."""

    def __init__(self, api: Api, leadership: Leadership, timeout_s: float) -> None:
        self.api: Final = api
        self._leadership = leadership
        self._timeout_s = timeout_s
        self._answered_at: float | None = None

    def silent_s(self) -> float:
        """Return for how long no request has been answered; infinity if none ever was."""
        return float("inf") if self._answered_at is None else time.monotonic() - self._answered_at

    async def read(self, path: str) -> Response:
        """GET, leader or not."""
        return await self._send("GET", path, None, "", self._timeout_s)

    async def write(
        self, method: str, path: str, body: bytes, content_type: str = "application/json"
    ) -> Response:
        """Write as leader; raises `NotLeadingError` unsent."""
        timeout_s = self._leadership.request_timeout_s(self._timeout_s)
        return await self._send(method, path, body, content_type, timeout_s)

    async def _send(
        self, method: str, path: str, body: bytes | None, content_type: str, timeout_s: float
    ) -> Response:
        try:
            response = await self.api.request(
                method, path, body=body, content_type=content_type, timeout_s=timeout_s
            )
        except ApiError as error:
            if not error.retryable:
                self._answered_at = time.monotonic()
            raise
        self._answered_at = time.monotonic()
        return response


class Nodes:
    """Node objects."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def get(self, name: NodeName) -> NodeView | None:
        """Return the Node, None if there is none."""
        body = await self._found(name)
        return None if body is None else _node(body)

    async def get_host(self, name: NodeName) -> HostView | None:
        """Return a machine's Node, None if there is none."""
        body = await self._found(name)
        return None if body is None else _host(body)

    async def _found(self, name: NodeName) -> bytes | None:
        try:
            return (await self._cluster.read(f"{NODES}/{name}")).body
        except NotFoundError as error:
            if error.reason != "NotFound":  # a proxy's page says nothing about the Node
                raise
            return None

    async def create(self, node: Mapping[str, Any]) -> NodeView:
        """Create; raises `AlreadyExistsError`."""
        return _node((await self._cluster.write("POST", NODES, msgspec.json.encode(node))).body)

    async def patch(
        self,
        view: NodeView,
        metadata: Mapping[str, Any],
        spec: Mapping[str, Any] | None = None,
        *,
        same_version: bool,
    ) -> NodeView:
        """Merge into this Node; with `same_version`, only if nobody wrote meanwhile."""
        meta = view.metadata
        version = meta.resource_version if same_version else ""
        body = object_patch(meta.uid, resource_version=version, metadata=metadata, spec=spec)
        return _node(await self._merge(meta, body))

    async def annotate_host(
        self, host: HostView, annotations: Mapping[str, str | None]
    ) -> HostView:
        """Merge annotations into a machine's Node: of that, nothing else is ours to write."""
        meta = host.metadata
        version = meta.resource_version
        metadata = {"annotations": annotations}
        body = object_patch(meta.uid, resource_version=version, metadata=metadata)
        return _host(await self._merge(meta, body))

    async def _merge(self, meta: NodeMeta, body: bytes) -> bytes:
        return (await self._cluster.write("PATCH", f"{NODES}/{meta.name}", body, MERGE)).body

    async def patch_status(self, name: NodeName, patch: bytes) -> NodeView:
        """Merge into the status; the patch names the UID."""
        path = f"{NODES}/{name}/status"
        return _node((await self._cluster.write("PATCH", path, patch, STRATEGIC_MERGE)).body)


def installation_path(named: str) -> str:
    """Return the path of the ConfigMap `NAMESPACE/NAME`."""
    namespace, _, name = named.partition("/")
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


class Installation:
    """The ConfigMap `NAMESPACE/NAME` by which an installation says that it is being removed."""

    def __init__(self, cluster: Cluster, named: str) -> None:
        self._cluster = cluster
        self._path = installation_path(named)

    async def is_leaving(self) -> bool | None:
        """Say whether the mark is there, None where the ConfigMap is not."""
        try:
            found = _object((await self._cluster.read(self._path)).body)
        except NotFoundError as error:
            if error.reason != "NotFound":
                raise
            return None
        return LEAVING_MARK in (found["metadata"].get("annotations") or {})


class NodeLease:
    """The Lease of one Node and its last known copy."""

    def __init__(self, cluster: Cluster, node: NodeName, lease_s: int) -> None:
        self._cluster = cluster
        self._node = node
        self._lease_s = lease_s
        self._path = f"{_LEASES}/{node}"
        self._copy: dict[str, Any] | None = None

    async def renew(self, node_uid: str) -> None:
        """Renew for this Node. A PUT of the last copy; on a conflict, of a fresh one.

        What fails is tried again at the next turn, from scratch.
        """
        for tries_left in reversed(range(_PUT_TRIES)):
            try:
                await self._write(node_uid)
                return
            except ApiError as error:
                self._copy = None
                if not isinstance(error, (ConflictError, NotFoundError)) or not tries_left:
                    raise

    async def _write(self, node_uid: str) -> None:
        copy = self._copy if self._copy is not None else await self._read()
        now = datetime.now(UTC)
        if copy is None:
            lease = new_lease(self._node, node_uid, self._lease_s, now)
            method, path = "POST", _LEASES
        else:
            lease = renewed(copy, self._node, node_uid, self._lease_s, now)
            method, path = "PUT", self._path
        response = await self._cluster.write(method, path, msgspec.json.encode(lease))
        self._copy = _object(response.body)

    async def _read(self) -> dict[str, Any] | None:
        try:
            return _object((await self._cluster.read(self._path)).body)
        except NotFoundError as error:
            if error.reason != "NotFound":
                raise
            return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(f"lease: {error}") from error


def _node(body: bytes) -> NodeView:
    try:
        return decode_node(body)
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(f"node: {error}") from error


def _host(body: bytes) -> HostView:
    try:
        return decode_host(body)
    except msgspec.DecodeError as error:
        raise MalformedAnswerError(f"node: {error}") from error
