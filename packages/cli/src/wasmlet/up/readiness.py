"""Waiting until the API server shows that our own nodes are Ready, and can be reached.

A Node that is Ready is not enough: the name may be another executor's, or the Node may still show
what an earlier run of ours wrote.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from contract.ids import NodeName
from kubekit.client import Api
from kubekit.errors import ApiError
from wasmlet.installation import INCARNATION
from wasmlet.up.rivals import Rivals

POLL_S: Final = 0.1
CONNECT_TIMEOUT_S: Final = 1.0


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Address(msgspec.Struct):
    type: str
    address: str


class _Endpoint(msgspec.Struct, rename={"port": "Port"}):
    port: int = 0


class _Endpoints(msgspec.Struct):
    kubelet_endpoint: _Endpoint = msgspec.field(name="kubeletEndpoint", default_factory=_Endpoint)


class _Status(msgspec.Struct):
    conditions: tuple[_Condition, ...] = ()
    addresses: tuple[_Address, ...] = ()
    endpoints: _Endpoints = msgspec.field(name="daemonEndpoints", default_factory=_Endpoints)


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Node(msgspec.Struct):
    metadata: _Metadata
    status: _Status


class _Identity(msgspec.Struct):
    executor_id: str
    start_count: int

    @property
    def incarnation(self) -> str:
        """As the registrar writes it on the Node that it grants."""
        return f"{self.executor_id}/{self.start_count}"


async def await_nodes_ready(
    api: Api,
    nodes: Sequence[NodeName],
    data_of: Callable[[NodeName], Path],
    say: Callable[[str], None],
) -> AsyncIterator[NodeName]:
    """Yield each node when it is ours and Ready, however long that takes.

    `data_of` gives an executor's data folder, where its id lies. `say` hears once of each name that
    another executor holds.
    """
    waiting = list(nodes)
    rivals = Rivals(api)
    while waiting:
        for node in tuple(waiting):
            found = await _find(api, node)
            if found is None:
                continue
            own, annotations = _identity(data_of(node)), found.metadata.annotations
            if own is None or annotations.get(INCARNATION) != own.incarnation:
                own_id = None if own is None else own.executor_id
                if await rivals.appears(node, annotations, own_id):
                    say(f"node {node} is held by another executor: choose another --node-name")
            elif _is_ready(found) and await _is_reachable(found):
                waiting.remove(node)
                yield node
        await asyncio.sleep(POLL_S)


async def _find(api: Api, node: NodeName) -> _Node | None:
    try:
        answer = await api.request("GET", f"/api/v1/nodes/{node}")
    except ApiError:
        return None
    return msgspec.json.decode(answer.body, type=_Node)


def _identity(data: Path) -> _Identity | None:
    """Return what the executor's keeper wrote when it started, if it has."""
    try:
        return msgspec.json.decode((data / "identity.json").read_bytes(), type=_Identity)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _is_ready(node: _Node) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in node.status.conditions)


async def _is_reachable(node: _Node) -> bool:
    """Say whether something listens where the Node says; the port may be an earlier run's."""
    hosts = [each.address for each in node.status.addresses if each.type.endswith("IP")]
    port = node.status.endpoints.kubelet_endpoint.port
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(hosts[0] if hosts else "", port)
            writer.close()
            return True
    return False
