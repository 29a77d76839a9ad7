"""Events of many nodes through one reconciler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler_api import PodApi
from reconciler_peer import NODE, until

from contract.ids import NodeName
from kubekit.client import connected
from kubekit.events import BURST, ObjectRef
from kubekit.kubeconfig import Connection
from pod_reconciler.events import NodeEvents

NOISY = NodeName("noisy")


def emit(events: NodeEvents, node: NodeName, uid: str) -> None:
    ref = ObjectRef(kind="Pod", name=uid, uid=uid, namespace="default")
    events.of(node).emit(ref, "Normal", "Pulled", "m")


def told_by(api: PodApi, node: NodeName) -> int:
    return sum(event["source"]["host"] == node for event in api.events)


class _SeenError(Exception):
    """Ends the senders."""


@asynccontextmanager
async def ended_tasks() -> AsyncIterator[asyncio.TaskGroup]:
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _SeenError  # noqa: TRY301 - the group is to see it
    except* _SeenError:
        pass


async def test_a_noisy_node_costs_no_other_node_its_events(api: PodApi) -> None:
    connection = Connection(server=api.url)
    async with connected(connection, user_agent="t") as client, ended_tasks() as tasks:
        events = NodeEvents(client, tasks)
        for number in range(3 * BURST):
            emit(events, NOISY, f"u-{number}")
        emit(events, NODE, "u")
        await until(lambda: told_by(api, NODE))
        assert told_by(api, NOISY) <= BURST
        await until(lambda: told_by(api, NOISY) > BURST)
