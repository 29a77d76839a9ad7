"""Which of the nodes that a service knows have ended, so that it lets go of what it holds of them.

The registrar says every few seconds who holds a node. Where that stays away, nobody holds it, or
nobody hears it: so the registrar is asked, and only its yes ends a node. Nothing has to be said
twice, and nothing is lost with a leader: the next one answers the next question.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from contract.errors import ContractError
from contract.ids import NodeName
from contract.messages.node import NodeCheck
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError

log = structlog.get_logger()

_LOOKS: Final = 4
"""In the time that a node may be quiet."""

type LetGo = Callable[[NodeName], Awaitable[None]]


class Departures:
    """Asks about each node of which no grant was heard for `quiet_s`, and again after as long."""

    def __init__(
        self, bus: Bus, quiet_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus = bus
        self._quiet_s = quiet_s
        self._clock = clock
        self._due_at: dict[NodeName, float] = {}

    def heard(self, node: NodeName) -> None:
        """Note that a node is granted."""
        self._due_at[node] = self._clock() + self._quiet_s

    async def run(self, let_go: LetGo) -> None:
        """Have each node that has ended let go of, until cancelled. It may come back later."""
        while True:
            await asyncio.sleep(self._quiet_s / _LOOKS)
            now = self._clock()
            for node in [node for node, due_at in self._due_at.items() if due_at <= now]:
                if await self._has_ended(node):
                    del self._due_at[node]
                    log.info("node.ended", node=node)
                    await let_go(node)

    async def _has_ended(self, node: NodeName) -> bool:
        due_at = self._due_at[node] = self._clock() + self._quiet_s
        try:
            answer = await self._bus.request(node, NodeCheck(node=node))
        except (BusUnavailableError, ContractError) as error:
            log.info("node.unchecked", node=node, reason=str(error))
            return False
        # A grant that was heard meanwhile is newer than the answer.
        return answer.ended and self._due_at[node] == due_at
