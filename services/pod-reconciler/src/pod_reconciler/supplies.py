"""What the API holds for pods, gathered per pod: the objects that it names, and its Services.

Made anew for each term of leadership: a replica that does not lead holds no Secret.
"""

import asyncio
import time
from collections.abc import Hashable
from typing import Final

import msgspec

from kubekit.client import Api
from kubekit.reflector import Pace
from pod_reconciler.domain.material import Content, Lack, Material, ObjectKey
from pod_reconciler.domain.needs import needs_of
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.servicelinks import MASTER_NAMESPACE
from pod_reconciler.objects import Freshness, Notify, ObjectCache, PlacedKey
from pod_reconciler.servicewatch import Services

_SYNC_PATIENCE_S: Final = 2.0
"""How long a pod waits for the first list of Services before its status says so."""


class _User(msgspec.Struct, frozen=True):
    namespace: str
    notify: Notify


class Supplies:
    """See the module. Users are told by `notify` that another gathering brings something else."""

    def __init__(
        self, api: Api, pace: Pace, freshness: Freshness, namespaces: tuple[str, ...] = ()
    ) -> None:
        self._freshness = freshness
        self._namespaces = frozenset(namespaces)
        self._objects = ObjectCache(api, freshness)
        self._services = Services(api, pace, namespaces, self._tell_all)
        self._users: dict[Hashable, _User] = {}

    async def run(self) -> None:
        """Keep what is in use fresh, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run(), name="services")
            tasks.create_task(self._objects.refresh(), name="objects")
            tasks.create_task(self._tell_of_services(), name="services-told")

    async def gather(
        self, user: Hashable, pod: Pod, notify: Notify, *, anew: bool, is_static: bool = False
    ) -> Material:
        """Everything for one pod. `anew`: nothing that was read before now will do."""
        namespace = pod.metadata.namespace
        self._users[user] = _User(namespace, notify)
        since_s = time.monotonic() if anew else float("-inf")
        needs = needs_of(pod)
        readable = needs if self._may_read(namespace) else frozenset[ObjectKey]()
        objects = await self._read(user, namespace, readable, notify, since_s)
        objects |= {key: self._confined(namespace, key) for key in needs - readable}
        if not is_static:
            await self._services.wait_synced(_SYNC_PATIENCE_S)
        services = self._services.variables(namespace, has_links=pod.spec.enable_service_links)
        if services is None and is_static:
            services = {}  # it waits for no API server, and shows none of its Services then
        return Material(objects=objects, services=services)

    def release(self, user: Hashable) -> None:
        """A pod is no more."""
        self._users.pop(user, None)
        self._objects.release(user)

    async def _read(
        self,
        user: Hashable,
        namespace: str,
        keys: frozenset[ObjectKey],
        notify: Notify,
        since_s: float,
    ) -> dict[ObjectKey, Content | Lack]:
        placed = {key: PlacedKey(namespace, key) for key in sorted(keys)}
        self._objects.hold(user, tuple(placed.values()), notify)
        async with asyncio.TaskGroup() as tasks:
            reads = {
                key: tasks.create_task(self._objects.read(each, since_s), name=f"read-{key.name}")
                for key, each in placed.items()
            }
        return {key: read.result() for key, read in reads.items()}

    def _may_read(self, namespace: str) -> bool:
        return not self._namespaces or namespace in self._namespaces

    def _confined(self, namespace: str, key: ObjectKey) -> Lack:
        problem = f'{key.kind} "{key.name}": namespace "{namespace}" is not among the namespaces '
        return Lack(problem=f"{problem}whose objects this reconciler reads")

    async def _tell_of_services(self) -> None:
        while True:
            await asyncio.sleep(self._freshness.period_s)
            changed, self._services.changed = self._services.changed, set()
            for user in tuple(self._users.values()):
                if user.namespace in changed or MASTER_NAMESPACE in changed:
                    user.notify()

    def _tell_all(self) -> None:
        self._services.changed.clear()
        for user in tuple(self._users.values()):
            user.notify()
