"""What the log-server asks over the bus, and how long it is patient.

A read of a log is asked for again with the same cursor while the peer is away: the executor answers
a cursor always alike, so a stream has no gap and no line twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import structlog

from contract.errors import CommandError, ContractError
from contract.ids import NO_NODE, NodeName
from contract.messages.form import Command, Message
from contract.messages.log import LogChunk, LogOpen, LogRead
from contract.messages.node import GrantsList, NodePing
from contract.messages.pod import PodsList, PodsListed
from log_server.errors import PeerAwayError
from log_server.localhealth import lives_here
from log_server.settings import LogServerSettings
from log_server.sharing import Shared
from servicekit.bus import Bus
from servicekit.errors import BusUnavailableError

log = structlog.get_logger()

RETRY_PAUSE_S: Final = 0.1
ANSWER_MARGIN_S: Final = 2.0
"""How much longer than the executor's wait we wait for its answer."""
_RETRYABLE: Final = 503


class LogReading(msgspec.Struct, frozen=True, kw_only=True):
    """The next read of a log; `max_bytes` of 0 is what the settings say."""

    cursor: str
    follow: bool
    plain: bool = False
    max_bytes: int = 0


class Peers:
    """Executors, reconciler and registrar, as this service needs them."""

    def __init__(self, bus: Bus, settings: LogServerSettings) -> None:
        self._bus = bus
        self._settings = settings
        self._pings: Shared[NodeName, bool] = Shared()

    async def granted_nodes(self) -> tuple[NodeName, ...]:
        """Return the nodes that are granted, once the registrar answers."""
        while True:
            try:
                listed = await self._bus.request(NO_NODE, GrantsList(), timeout_s=2.0)
            except (BusUnavailableError, ContractError) as error:
                log.info("grants.awaited", reason=str(error))
                await asyncio.sleep(self._settings.grants_retry_s)
            else:
                return tuple(grant.node for grant in listed.grants)

    async def ping(self, node: NodeName) -> bool:
        """Say whether the executor's main loop turns. Any number may ask: one ping is under way."""
        return await self._pings.ask(node, lambda: self._ping(node))

    async def _ping(self, node: NodeName) -> bool:
        socket, timeout_s = self._settings.executor_socket, self._settings.ping_timeout_s
        if socket:
            timeout_s /= 2  # one half for each way
            if await lives_here(socket, node, timeout_s):
                return True
        try:
            await self._bus.request(node, NodePing(node=node), timeout_s=timeout_s)
        except (BusUnavailableError, ContractError):
            return False
        return True

    async def open_log(self, node: NodeName, command: LogOpen) -> str:
        """Return the cursor to read from. `CommandError` has the kubelet's code and text."""
        opened = await self.ask(node, command, patience_s=self._settings.open_patience_s)
        return opened.cursor

    async def read_log(self, node: NodeName, reading: LogReading) -> LogChunk:
        """Return the next chunk, after an absence of the executor too. Following, wait for one."""
        wait_s = self._settings.follow_wait_s if reading.follow else 0.0
        command = LogRead(
            cursor=reading.cursor,
            max_bytes=reading.max_bytes or self._settings.chunk_bytes,
            wait_s=wait_s,
            plain=reading.plain,
        )
        patience = self._settings.stream_patience_s
        return await self.ask(node, command, wait_s=wait_s, patience_s=patience)

    @property
    def chunk_bytes(self) -> int:
        """How much of a stream is asked for at a time."""
        return self._settings.chunk_bytes

    async def open_stream[R: Message](self, node: NodeName, command: Command[R]) -> R:
        """Begin or end something. `CommandError` has the kubelet's code and text."""
        return await self.ask(node, command, patience_s=self._settings.open_patience_s)

    async def ask_stream[R: Message](
        self, node: NodeName, command: Command[R], *, wait_s: float
    ) -> R:
        """Ask of a stream under way, after an absence of the executor too."""
        patience_s = self._settings.stream_patience_s
        return await self.ask(node, command, wait_s=wait_s, patience_s=patience_s)

    async def pods(self, node: NodeName) -> AsyncIterator[PodsListed]:
        """Yield the node's pods, page by page, as the API server wrote them."""
        command = PodsList()
        while True:
            page = await self.ask(node, command, patience_s=self._settings.open_patience_s)
            yield page
            if not page.after and not page.offset:
                return
            command = PodsList(after=page.after, offset=page.offset, version=page.version)

    async def ask[R: Message](
        self, node: NodeName, command: Command[R], *, patience_s: float, wait_s: float = 0.0
    ) -> R:
        """Ask until there is an answer, or raise `PeerAwayError` when patience ends."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return await self._bus.request(
                    node, command, timeout_s=wait_s + ANSWER_MARGIN_S, stream=True
                )
            except BusUnavailableError as error:
                reason = str(error)
            except CommandError as error:
                if error.code != _RETRYABLE:
                    raise
                reason = error.message
            if time.monotonic() >= deadline:
                raise PeerAwayError(reason)
            await asyncio.sleep(RETRY_PAUSE_S)
