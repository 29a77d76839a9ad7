"""What the API holds for pods, gathered per pod: what it names, its tokens, the Services.

Made anew for each term of leadership: a replica that does not lead holds no Secret and no token.
"""

import asyncio
import time
from collections.abc import Awaitable, Hashable, Iterable
from contextlib import nullcontext
from typing import Final

import msgspec

from kubekit.client import Api
from kubekit.reflector import Pace
from pod_reconciler.claims import Claims
from pod_reconciler.domain.material import Content, Lack, Material, ObjectKey
from pod_reconciler.domain.needs import NOTHING, Needs, needs_of
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.servicelinks import MASTER_NAMESPACE
from pod_reconciler.objects import Freshness, Notify, ObjectCache, PlacedKey
from pod_reconciler.runtimeclasses import RuntimeClasses
from pod_reconciler.servicewatch import Services
from pod_reconciler.tokens import Tokens

_SYNC_PATIENCE_S: Final = 2.0
"""How long a pod waits for the first list of Services before its status says so."""
_TICKS: Final = 10
AT_A_TIME: Final = 8
"""Of the pods that run already when a term begins. Those that wait to start come between them."""
_NEVER: Final = float("inf")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """For whom to gather. `notify` says later that another gathering brings something else."""

    user: Hashable
    pod: Pod
    notify: Notify
    anew: bool = False
    """Nothing that was read before now will do."""
    is_static: bool = False
    """It waits for no API server."""

    @property
    def namespace(self) -> str:
        return self.pod.metadata.namespace

    @property
    def may_wait(self) -> bool:
        """Whether nobody waits for it: an earlier leader has provided for the pod, and it runs."""
        is_deleted = self.pod.metadata.deletion_timestamp is not None
        return self.anew and self.pod.phase == "Running" and not (is_deleted or self.is_static)


class _User:
    def __init__(self, order: Order) -> None:
        self.namespace = order.namespace
        self.notify = order.notify
        self.again_at_s = _NEVER


class Supplies:
    """See the module."""

    def __init__(
        self, api: Api, pace: Pace, freshness: Freshness, namespaces: tuple[str, ...] = ()
    ) -> None:
        self._freshness = freshness
        self._namespaces = frozenset(namespaces)
        self._objects = ObjectCache(api, freshness)
        self._tokens = Tokens(api, freshness.retry_s)
        self._claims = Claims(api, freshness.retry_s)
        self._classes = RuntimeClasses(api, freshness.retry_s)
        self._services = Services(api, pace, namespaces, self._tell_all)
        self._users: dict[Hashable, _User] = {}
        self._patient = asyncio.Semaphore(AT_A_TIME)

    async def run(self) -> None:
        """Keep what is in use fresh, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run(), name="services")
            tasks.create_task(self._objects.refresh(), name="objects")
            tasks.create_task(self._tell_of_services(), name="services-told")
            tasks.create_task(self._tell_when_due(), name="due-told")

    async def gather(self, order: Order) -> Material:
        """Everything for one pod; what is not to be had is said in its place."""
        user = self._users[order.user] = _User(order)
        needs = needs_of(order.pod)
        if self._namespaces and order.namespace not in self._namespaces:
            gathered = _confined(needs, order.namespace)
        else:
            async with self._patient if order.may_wait else nullcontext():
                gathered = await self._read(order, needs, user)
        handler = await self._handler(order, user)
        if not order.is_static:
            await self._services.wait_synced(_SYNC_PATIENCE_S)
        has_links = order.pod.spec.enable_service_links
        services = self._services.variables(order.namespace, has_links=has_links)
        if services is None and order.is_static:
            services = {}
        return msgspec.structs.replace(gathered, handler=handler, services=services)

    def release(self, user: Hashable) -> None:
        """A pod is no more."""
        self._users.pop(user, None)
        for holder in (self._objects, self._tokens, self._claims):
            holder.release(user)

    async def _read(self, order: Order, needs: Needs, user: _User) -> Material:
        if needs == NOTHING:
            self._objects.release(order.user)
            return Material()
        objects = self._read_objects(order, needs.objects)
        tokens, claims = self._tokens, self._claims
        async with asyncio.TaskGroup() as tasks:
            # What takes the API server longest is asked for first.
            asked = tasks.create_task(
                _each(
                    (key, tokens.token(order.user, order.pod, key)) for key in sorted(needs.tokens)
                ),
                name="read-tokens",
            )
            read = tasks.create_task(objects, name="read-objects")
            followed = tasks.create_task(
                _each(
                    (name, claims.volume(order.user, order.namespace, name))
                    for name in sorted(needs.claims)
                ),
                name="read-claims",
            )
        again = (at_s for found in (asked, followed) for _, at_s in found.result().values())
        user.again_at_s = min(again, default=_NEVER)
        return Material(
            objects=read.result(),
            tokens={key: token for key, (token, _) in asked.result().items()},
            claims={name: volume for name, (volume, _) in followed.result().items()},
        )

    async def _handler(self, order: Order, user: _User) -> str | Lack:
        """What its RuntimeClass stands for. It holds up nobody who has none."""
        if order.is_static:
            return ""
        handler, again_at_s = await self._classes.handler(order.pod.spec.runtime_class_name)
        user.again_at_s = min(user.again_at_s, again_at_s)
        return handler

    async def _read_objects(
        self, order: Order, keys: Iterable[ObjectKey]
    ) -> dict[ObjectKey, Content | Lack]:
        since_s = time.monotonic() if order.anew else float("-inf")
        placed = {key: PlacedKey(order.namespace, key) for key in sorted(keys)}
        self._objects.hold(order.user, tuple(placed.values()), order.notify)
        async with asyncio.TaskGroup() as tasks:
            reads = {
                key: tasks.create_task(self._objects.read(each, since_s), name=f"read-{key.name}")
                for key, each in placed.items()
            }
        return {key: read.result() for key, read in reads.items()}

    async def _tell_when_due(self) -> None:
        """Tokens end, and claims that could not be had are asked for again."""
        while True:
            await asyncio.sleep(self._freshness.retry_s / _TICKS)
            now_s = time.monotonic()
            for user in tuple(self._users.values()):
                if user.again_at_s <= now_s:
                    user.again_at_s = _NEVER
                    user.notify()

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


async def _each[K, V](asked: Iterable[tuple[K, Awaitable[V]]]) -> dict[K, V]:
    """One after the other: a pod has one token, and hardly ever two claims."""
    return {key: await answer for key, answer in asked}


def _confined(needs: Needs, namespace: str) -> Material:
    """What is beyond the namespaces that may be read."""

    def lack(what: str) -> Lack:
        problem = f'{what}: namespace "{namespace}" is not among the namespaces '
        return Lack(problem=f"{problem}whose objects this reconciler reads")

    return Material(
        objects={key: lack(f'{key.kind} "{key.name}"') for key in needs.objects},
        tokens={key: lack("token of the service account") for key in needs.tokens},
        claims={name: lack(f'persistentvolumeclaim "{name}"') for name in needs.claims},
    )
