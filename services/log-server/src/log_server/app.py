"""The log-server wired together: who owns which task, and what lives as long as what."""

import asyncio
import itertools
import time
from contextlib import suppress
from typing import Final

import structlog

from contract.ids import NodeName
from contract.messages.node import ServerAnnounced
from contract.subjects import Role
from log_server.access import Access
from log_server.addresses import announced_address
from log_server.bus import Peers
from log_server.domain.ports import port_of
from log_server.errors import CertificateError, ListenError
from log_server.guard import Guard
from log_server.healthzport import serve_healthz
from log_server.issuing import Certificates
from log_server.kube import ApiServer, api_server
from log_server.listener import Listener
from log_server.metrics import LISTENERS
from log_server.nodes import NodesToServe
from log_server.protocol import limits_of
from log_server.routes import kubelet_api
from log_server.settings import LogServerSettings, only_node
from log_server.tls import ListenerTls
from log_server.trust import follow_api_health, follow_client_ca
from servicekit.admin import serve_admin
from servicekit.bus import Bus, connected
from servicekit.errors import BusUnavailableError
from servicekit.running import raise_on_signal, stop_absorbed

RETRY_S: Final = 5.0
"""Between two tries to open the port of a node."""

log = structlog.get_logger()


class LogServer:
    """The listeners of this process, and what they share."""

    def __init__(self, bus: Bus, api: ApiServer | None, settings: LogServerSettings) -> None:
        self._bus = bus
        self._api = api
        self._settings = settings
        self._address = announced_address(settings.node_address, static=api is None)
        self._certificates = Certificates(settings, api, self._address)
        self._peers = Peers(bus, settings)
        self._access = Access(api, settings)
        self._application = kubelet_api(self._peers, settings)
        self._client_ca: str | None = None
        self.listeners: dict[NodeName, Listener] = {}
        self._closed: dict[NodeName, str] = {}
        """Why a node has no listener yet, after others had theirs."""
        self._has_opened = False
        self._positions: dict[NodeName, int] = {}
        self._serving: dict[NodeName, asyncio.Task[None]] = {}

    def unready(self) -> str | None:
        """Say why this service cannot do its work now, None when it can."""
        if not self._bus.ready:
            return "NATS is away"
        unopened = next(iter(self._closed.values()), None)
        if not self.listeners:
            return unopened or "no node is granted"
        if not all(listener.serving for listener in self.listeners.values()):
            return "a listener is starting"
        if self._certificates.problem is not None:
            return self._certificates.problem
        shown = [each.tls.certificate for each in self.listeners.values()]
        if any(each.expires_at <= time.time() for each in shown):
            return "the certificate of the kubelet port has expired"
        return unopened if self._api is None else unopened or self._api.problem

    async def run(self) -> None:
        """Serve every node that is to be served, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._api is not None:
                following = follow_client_ca(self._api, self._settings, self._trust)
                tasks.create_task(following, name="client-ca")
                health = follow_api_health(self._api, self._settings.api_check_interval_s)
                tasks.create_task(health, name="api-health")
            healthz = serve_healthz(self._settings, self._peers, self.listeners.keys)
            tasks.create_task(healthz, name="healthz")
            nodes = NodesToServe(self._bus, self._peers, self._settings)
            tasks.create_task(nodes.going(self._let_go), name="ended-nodes")
            async for node in nodes.coming():
                position = self._free_position()
                port = port_of(self._settings.kubelet_port, position)
                serving = tasks.create_task(self._serve(node, port), name=f"node-{node}")
                self._positions[node], self._serving[node] = position, serving

    def _free_position(self) -> int:
        """Return the first that no node has: the ports of those that have ended are used again."""
        taken = self._positions.values()
        return next(position for position in itertools.count() if position not in taken)

    async def _let_go(self, node: NodeName) -> None:
        """Close the port of a node that has ended, and keep nothing of it."""
        serving = self._serving.pop(node)
        serving.cancel()  # what is followed through it breaks off
        await asyncio.wait([serving])
        self._positions.pop(node)
        self._closed.pop(node, None)
        self._certificates.forget(node)
        if self.listeners.pop(node, None) is not None:
            LISTENERS.set(len(self.listeners))
            log.info("listener.closed", node=node)

    async def _serve(self, node: NodeName, port: int) -> None:
        """Serve one node on its port, from when that is free."""
        listener = await self._opened(node, port)
        news = asyncio.Event()
        keeping = self._certificates.keep_current(node, listener.tls, news.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listener.serve(), name=f"listener-{node}")
            tasks.create_task(keeping, name=f"certificate-{node}")
            tasks.create_task(self._announce(node, listener, news), name=f"announce-{node}")

    async def _opened(self, node: NodeName, port: int) -> Listener:
        """Raises an error where none was ever opened: then a setting, or a file, is wrong."""
        while True:
            try:
                listener = self._open(node, port)
            except (ListenError, CertificateError) as error:
                if not self._has_opened:
                    raise
                self._closed[node] = str(error)
                log.warning("listener.missed", node=node, reason=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)
            else:
                self._closed.pop(node, None)
                return listener

    def _open(self, node: NodeName, port: int) -> Listener:
        tls = ListenerTls(self._certificates.first(node))
        tls.trust(self._client_ca)
        guard = Guard(self._application, self._access, node, self._settings.max_body_bytes)
        limits = limits_of(self._settings)
        listener = Listener(guard, tls, self._bind_address(), port, limits)
        self.listeners[node] = listener
        self._has_opened = True
        LISTENERS.set(len(self.listeners))
        log.info("listener.opened", node=node, address=self._address, port=listener.port)
        return listener

    def _bind_address(self) -> str:
        if self._settings.bind_address:
            return self._settings.bind_address
        if self._api is None:
            return self._address
        return "::" if ":" in self._address else "0.0.0.0"  # noqa: S104 - a kubelet is asked from everywhere

    async def _announce(self, node: NodeName, listener: Listener, news: asyncio.Event) -> None:
        """Say at once and again where the node's API is, and what certificate it shows now."""
        while True:
            news.clear()
            event = ServerAnnounced(
                node=node,
                address=self._address,
                port=listener.port,
                certificate_sha256=listener.tls.certificate.sha256,
            )
            try:
                await self._bus.publish(node, event)
            except BusUnavailableError as error:
                log.warning("announcement.lost", node=node, reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.announce_interval_s):
                    await news.wait()

    def _trust(self, client_ca: str | None) -> None:
        changed = False
        for listener in self.listeners.values():
            if listener.tls.trust(client_ca):
                listener.retire_connections()
                changed = True
        self._client_ca = client_ca
        if changed:
            log.info("client_ca.changed")


async def serve(settings: LogServerSettings) -> None:
    """Run the log-server until it is told to stop."""
    with stop_absorbed():
        async with (
            connected(settings, Role.LOG_SERVER, only_node(settings)) as bus,
            api_server(settings) as api,
            asyncio.TaskGroup() as tasks,
        ):
            server = LogServer(bus, api, settings)
            tasks.create_task(raise_on_signal(), name="signals")
            tasks.create_task(bus.wait_closed(), name="bus-closed")
            tasks.create_task(serve_admin(settings, server.unready), name="admin")
            tasks.create_task(server.run(), name="listeners")
