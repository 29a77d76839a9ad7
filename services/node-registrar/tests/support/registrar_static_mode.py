"""A registrar without a cluster, and who talks to it."""

import asyncio
from typing import NamedTuple

from registrar_peers import Executor, LogServer, life

from contract.ids import NodeName
from contract.messages.node import NodeGranted
from servicekit.bus import Bus

NODE = NodeName("wasm.node-1")
OTHER = NodeName("other")
LEASE_S = 2.0
SETTINGS = {"lease_s": "2", "lease_renew_s": "0.5", "beat_fresh_s": "1", "grants_interval_s": "0.2"}


class Peers(NamedTuple):
    executor: Bus
    server: LogServer
    tasks: asyncio.TaskGroup

    def life(self, executor_id: str = "e1", start_count: int = 1) -> Executor:
        return Executor(self.executor, NODE, life(executor_id, start_count))

    async def shown(self) -> NodeGranted:
        """The one grant in force, as the registrar lists it."""
        (grant,) = await self.server.grants()
        return grant
