"""The log-server wired together: who owns which task, and what lives as long as what."""

import asyncio
import resource
from contextlib import suppress

import structlog

from contract.ids import NodeName
from contract.messages.node import ServerAnnounced
from contract.subjects import Role
from log_server.access import Access
from log_server.addresses import announced_address
from log_server.bus import Peers
from log_server.domain.ports import port_of
from log_server.guard import Guard
from log_server.healthzport import serve_healthz
from log_server.issuing import Certificates
from log_server.kube import ApiServer, api_server
from log_server.listener import Listener
from log_server.metrics import LISTENERS
from log_server.nodes import nodes_to_serve
from log_server.protocol import limits_of
from log_server.routes import kubelet_api
from log_server.settings import LogServerSettings, only_node
from log_server.tls import ListenerTls
from log_server.trust import follow_api_health, follow_client_ca
from servicekit.admin import serve_admin
from servicekit.bus import Bus, connected
from servicekit.errors import BusUnavailableError
from servicekit.running import raise_on_signal, stop_absorbed

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

    def unready(self) -> str | None:
        """Say why this service cannot do its work now, None when it can."""
        if not self._bus.ready:
            return "NATS is away"
        if not self.listeners:
            return "no node has been granted yet"
        if not all(listener.serving for listener in self.listeners.values()):
            return "a listener is starting"
        return None if self._api is None else self._api.problem

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
            nodes = nodes_to_serve(self._bus, self._peers, self._settings.node_names)
            async for node in nodes:
                listener = self._open(node)
                tasks.create_task(listener.serve(), name=f"listener-{node}")
                news = asyncio.Event()
                keeping = self._certificates.keep_current(node, listener.tls, news.set)
                tasks.create_task(keeping, name=f"certificate-{node}")
                tasks.create_task(self._announce(node, listener, news), name=f"announce-{node}")

    def _open(self, node: NodeName) -> Listener:
        tls = ListenerTls(self._certificates.first(node))
        tls.trust(self._client_ca)
        port = port_of(self._settings.kubelet_port, len(self.listeners))
        guard = Guard(self._application, self._access, node, self._settings.max_body_bytes)
        limits = limits_of(self._settings)
        listener = Listener(guard, tls, self._bind_address(), port, limits)
        self.listeners[node] = listener
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
    _set_limits()
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


def _set_limits() -> None:
    """Raise the soft limit of descriptors as Go does, for every reader is one; dump no core.

    A core would hold the serving keys and the tokens of requests in flight.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
