"""The bus edge: what the registrar hears, serves and says."""

import asyncio
from typing import Final, Protocol, Self

import structlog
from nats.aio.subscription import Subscription

from contract.errors import ContractError
from contract.ids import EVERY_NODE, NO_NODE, NodeName
from contract.messages.form import Done, Incarnation
from contract.messages.node import (
    GrantsList,
    GrantsListed,
    NodeBeat,
    NodeCheck,
    NodeChecked,
    NodeGrant,
    NodeGranted,
    NodeRegister,
    NodeRelease,
    NodeRevoke,
    ServerAnnounced,
)
from servicekit.bus import Bus
from servicekit.ending import end
from servicekit.errors import BusUnavailableError

REVOKE_TIMEOUT_S: Final = 2.0

log = structlog.get_logger()


class Hearer(Protocol):
    """Who acts on what the bus brings."""

    async def register(self, node: NodeName, command: NodeRegister) -> NodeGrant:
        """Answer who holds the name."""
        ...

    async def release(self, node: NodeName, command: NodeRelease) -> Done:
        """Take the name back."""
        ...

    async def list_grants(self, node: NodeName, command: GrantsList) -> GrantsListed:
        """Answer with all grants in force."""
        ...

    async def check(self, node: NodeName, command: NodeCheck) -> NodeChecked:
        """Answer whether a node has ended."""
        ...

    def beat(self, node: NodeName, event: NodeBeat) -> None:
        """Hear a sign of life."""
        ...

    def announced(self, node: NodeName, event: ServerAnnounced) -> None:
        """Hear where a log-server listens."""
        ...


class Ears:
    """What the bus brings, while the body runs. Its end must be the last thing that ends.

    The questions that wait then are still asked: a leader that was frozen refuses them. So nothing
    beside it may fail and cut that short.
    """

    def __init__(self, bus: Bus, answering: asyncio.TaskGroup) -> None:
        self._bus = bus
        self._answering = answering
        self._subscriptions: list[Subscription] = []

    async def __aenter__(self) -> Self:
        return self

    async def open(self, hearer: Hearer) -> None:
        """Listen, then serve: commands build on events."""
        bus, tasks = self._bus, self._answering
        self._subscriptions += [
            await bus.listen(NodeBeat, EVERY_NODE, hearer.beat),
            await bus.listen(ServerAnnounced, EVERY_NODE, hearer.announced),
            await bus.serve(tasks, NodeRegister, EVERY_NODE, hearer.register),
            await bus.serve(tasks, NodeRelease, EVERY_NODE, hearer.release),
            await bus.serve(tasks, GrantsList, NO_NODE, hearer.list_grants),
            await bus.serve(tasks, NodeCheck, EVERY_NODE, hearer.check),
        ]

    async def __aexit__(self, *_: object) -> None:
        await end(*self._subscriptions)


class Voice:
    """What the registrar says on the bus; a lost word is said again by those who repeat."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def granted(self, event: NodeGranted) -> None:
        """Publish who holds a node."""
        try:
            await self._bus.publish(event.node, event)
        except (BusUnavailableError, ContractError) as error:
            log.warning("grant.unpublished", node=event.node, reason=str(error))

    async def revoke(self, node: NodeName, executor_id: str, holder: Incarnation) -> None:
        """Tell a former holder; one that does not hear is told again when it next speaks."""
        command = NodeRevoke(node=node, executor_id=executor_id, holder=holder)
        try:
            await self._bus.request(node, command, timeout_s=REVOKE_TIMEOUT_S)
            log.info("revoke.confirmed", node=node, executor_id=executor_id)
        except (BusUnavailableError, ContractError) as error:
            log.info("revoke.unheard", node=node, executor_id=executor_id, reason=str(error))
