"""The Services of the cluster, or of the namespaces that this reconciler is confined to.

Pods are told of them by variables when they start. Their addresses hardly ever change, so a change
reaches pods that run with the next look at everything, and a new pod at once.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from kubekit.changes import Added, Change, Deleted, Modified, Synced
from kubekit.client import Api
from kubekit.listing import Source
from kubekit.reflector import Pace, Reflector
from pod_reconciler.domain.servicelinks import (
    MASTER_NAMESPACE,
    MASTER_SERVICE,
    Service,
    read_service,
    service_variables,
)

log = structlog.get_logger()

_CLUSTER: Final = "/api/v1/services"


class Services:
    """See the module. `synced` is called each time that everything has been shown."""

    def __init__(
        self, api: Api, pace: Pace, namespaces: tuple[str, ...], synced: Callable[[], None]
    ) -> None:
        self._api = api
        self._pace = pace
        self._sources = sources_of(namespaces)
        self._unsynced = set(self._sources)
        self._on_synced = synced
        self._by_namespace: dict[str, dict[str, Service]] = {}
        self._synced = asyncio.Event()
        self.changed: set[str] = set()
        """The namespaces in which something is other than when somebody last looked."""

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(self._follow(source), name=f"services-{source.path}")

    async def wait_synced(self, timeout_s: float) -> None:
        """Wait a while for the first whole list."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._synced.wait()
        except TimeoutError:
            pass

    def variables(self, namespace: str, *, has_links: bool) -> dict[str, str] | None:
        """The variables of a pod; None before everything was shown once."""
        if not self._synced.is_set():
            return None
        masters = self._by_namespace.get(MASTER_NAMESPACE, {})
        near = self._by_namespace.get(namespace, {}) if has_links else {}
        services = {MASTER_SERVICE: masters[MASTER_SERVICE]} if MASTER_SERVICE in masters else {}
        # Of two with one name the API server's own is told, as everywhere.
        told = [*services.values(), *(each for each in near.values() if not each.is_master)]
        return service_variables(told, namespace, has_links=has_links)

    async def _follow(self, source: Source) -> None:
        async def deliver(change: Change[Service]) -> None:
            match change:
                case Added(object=service) | Modified(object=service):
                    self._of(service)[service.metadata.name] = service
                    self.changed.add(service.metadata.namespace)
                case Deleted(object=service):
                    self._of(service).pop(service.metadata.name, None)
                    self.changed.add(service.metadata.namespace)
                case Synced():
                    self._unsynced.discard(source)
                    if not (self._unsynced or self._synced.is_set()):
                        self._synced.set()
                        self._on_synced()

        await Reflector(
            self._api, source, decode=read_service, deliver=deliver, pace=self._pace
        ).run()

    def _of(self, service: Service) -> dict[str, Service]:
        return self._by_namespace.setdefault(service.metadata.namespace, {})


def sources_of(namespaces: tuple[str, ...]) -> tuple[Source, ...]:
    """What to watch: everything, or each namespace, and the API server's own Service always."""
    if not namespaces:
        return (Source(path=_CLUSTER),)
    sources = [Source(path=_path(each)) for each in dict.fromkeys(namespaces)]
    if MASTER_NAMESPACE not in namespaces:
        selector = f"metadata.name={MASTER_SERVICE}"
        sources.append(Source(path=_path(MASTER_NAMESPACE), field_selector=selector))
    return tuple(sources)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services"
