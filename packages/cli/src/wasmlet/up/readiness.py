"""Waiting until the API server shows that nodes are Ready."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from contract.ids import NodeName
from kubekit.client import Api
from kubekit.errors import ApiError

POLL_S: Final = 0.2


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Status(msgspec.Struct):
    conditions: tuple[_Condition, ...] = ()


class _Node(msgspec.Struct):
    status: _Status


async def await_nodes_ready(api: Api, nodes: Sequence[NodeName]) -> AsyncIterator[NodeName]:
    """Yield each node when it is Ready, however long that takes."""
    waiting = list(nodes)
    while waiting:
        for node in tuple(waiting):
            if await _is_ready(api, node):
                waiting.remove(node)
                yield node
        await asyncio.sleep(POLL_S)


async def _is_ready(api: Api, node: NodeName) -> bool:
    try:
        answer = await api.request("GET", f"/api/v1/nodes/{node}")
    except ApiError:
        return False
    status = msgspec.json.decode(answer.body, type=_Node).status
    return any(each.type == "Ready" and each.status == "True" for each in status.conditions)
