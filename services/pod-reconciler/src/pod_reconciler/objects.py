"""ConfigMaps and Secrets by name, read by GET and shared by all pods that use them.

Never listed or watched: that would need the right to read every Secret there is. An object is read
for a new pod at once, then again every period as long as some pod uses it, and nobody keeps it
afterwards. At most one read of an object is under way, and none that hangs holds up another's;
users hear of a change. What is immutable is read once for all that use it, as a kubelet does.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Hashable
from typing import Annotated, Final, NamedTuple

import msgspec
import structlog

from kubekit.client import Api
from kubekit.errors import ApiError, NotFoundError
from kubekit.objects import object_path
from pod_reconciler.domain.material import UNREAD, Content, Kind, Lack, ObjectKey
from pod_reconciler.metrics import OBJECT_READS

log = structlog.get_logger()

PLURALS: Final = {Kind.CONFIG_MAP: "configmaps", Kind.SECRET: "secrets"}
_SPREAD: Final = 0.2
_TICKS: Final = 10
_READ_TIMEOUT_S: Final = 5.0
_CONCURRENT_READS: Final = 16

type Notify = Callable[[], None]


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How old what was read may become."""

    period_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    retry_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """How soon an object that is not to be had is asked for again."""


class PlacedKey(NamedTuple):
    """An object and its namespace."""

    namespace: str
    key: ObjectKey


class _Entry:
    """What is known of one object, and who uses it."""

    def __init__(self) -> None:
        self.value: Content | Lack | None = None
        self.asked_at_s = float("-inf")
        self.due_s = float("-inf")
        self.is_ill = False
        """Whether the last read failed: that is told once."""
        self.users: dict[Hashable, Notify] = {}
        self.reading = asyncio.Lock()

    def is_good(self, since_s: float) -> bool:
        """Whether what is known was asked for late enough."""
        return self.is_final or (self.value is not None and self.asked_at_s >= since_s)

    @property
    def is_final(self) -> bool:
        """Whether it never changes."""
        return isinstance(self.value, Content) and self.value.is_immutable


class _ConfigMap(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    data: dict[str, str] | None = None
    binary_data: dict[str, bytes] | None = None
    immutable: bool | None = None


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    uid: str = ""


class _Secret(msgspec.Struct, frozen=True, kw_only=True):
    metadata: _Metadata = _Metadata()
    type: str = ""
    data: dict[str, bytes] | None = None
    immutable: bool | None = None


_CONFIG_MAPS: Final = msgspec.json.Decoder(_ConfigMap)
_SECRETS: Final = msgspec.json.Decoder(_Secret)


class ObjectCache:
    """See the module."""

    def __init__(self, api: Api, freshness: Freshness) -> None:
        self._api = api
        self._freshness = freshness
        self._entries: dict[PlacedKey, _Entry] = {}
        self._held: dict[Hashable, frozenset[PlacedKey]] = {}
        self._slots = asyncio.Semaphore(_CONCURRENT_READS)

    def __len__(self) -> int:
        return len(self._entries)

    def hold(self, user: Hashable, keys: Collection[PlacedKey], notify: Notify) -> None:
        """Say which objects a user has now; `notify` is called when one of them changes."""
        before = self._held.pop(user, frozenset[PlacedKey]())
        for key in before.difference(keys):
            self._let_go(key, user)
        for key in keys:
            self._entries.setdefault(key, _Entry()).users[user] = notify
        if keys:
            self._held[user] = frozenset(keys)

    def release(self, user: Hashable) -> None:
        """A user is no more; what nobody uses is forgotten."""
        self.hold(user, (), lambda: None)

    async def read(self, key: PlacedKey, since_s: float) -> Content | Lack:
        """The object as it is, or as it was at the earliest at `since_s` on the monotonic clock."""
        entry = self._entries.get(key) or _Entry()
        async with entry.reading:
            if not entry.is_good(since_s):
                await self._renew(key, entry)
        assert entry.value is not None, "a reading leaves a value"
        return entry.value

    async def refresh(self) -> None:
        """Read again what is in use and old, until cancelled."""
        freshness = self._freshness
        tick_s = min(freshness.period_s, freshness.retry_s) / _TICKS
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(tick_s)
                now_s = time.monotonic()
                for key, entry in tuple(self._entries.items()):
                    is_due = entry.due_s <= now_s and not entry.is_final
                    if entry.value is not None and is_due and not entry.reading.locked():
                        name = f"object-{key.key.kind}-{key.namespace}-{key.key.name}"
                        tasks.create_task(self.read(key, now_s), name=name)

    def _let_go(self, key: PlacedKey, user: Hashable) -> None:
        entry = self._entries[key]
        entry.users.pop(user, None)
        if not entry.users:
            del self._entries[key]

    async def _renew(self, key: PlacedKey, entry: _Entry) -> None:
        async with self._slots:
            asked_at_s = time.monotonic()
            value = await self._ask(key, entry)  # it may be cancelled, which changes nothing
        freshness = self._freshness
        is_well = isinstance(value, Content) and value is not entry.value
        wait_s = freshness.period_s if is_well else min(freshness.retry_s, freshness.period_s)
        entry.asked_at_s = asked_at_s
        entry.due_s = asked_at_s + wait_s * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - no secret
        before, entry.value = entry.value, value
        if before is not None and before != value:
            for notify in tuple(entry.users.values()):
                notify()

    async def _ask(self, key: PlacedKey, entry: _Entry) -> Content | Lack:
        """The object, or why there is none; what was known stays while the server is away."""
        namespace, (kind, name) = key
        unread = entry.value or Lack(problem=UNREAD.format(kind=kind.value))
        path = object_path(f"/api/v1/{PLURALS[kind]}", namespace, name)
        try:
            answer = await self._api.request("GET", path, timeout_s=_READ_TIMEOUT_S)
            value: Content | Lack = content_of(kind, answer.body)
        except NotFoundError as error:
            OBJECT_READS.labels(kind.value, "absent").inc()
            if error.reason == "NotFound":
                return Lack(problem=f'{kind} "{name}" not found', is_absent=True)
            return unread
        except (ApiError, msgspec.DecodeError) as error:
            OBJECT_READS.labels(kind.value, "failed").inc()
            # A body that does not decode may be a Secret: its error would show a part of it.
            reason = str(error) if isinstance(error, ApiError) else "the answer cannot be read"
            tell = log.debug if entry.is_ill else log.warning
            tell("object.unread", kind=kind.value, namespace=namespace, name=name, reason=reason)
            entry.is_ill = True
            if isinstance(error, ApiError) and not error.retryable:
                return Lack(problem=error.message)
            return unread
        entry.is_ill = False
        OBJECT_READS.labels(kind.value, "read").inc()
        return value


def content_of(kind: Kind, body: bytes) -> Content:
    """What an object's JSON holds; raises `msgspec.DecodeError`."""
    if kind is Kind.SECRET:
        secret = _SECRETS.decode(body)
        return Content(
            data=secret.data or {},
            is_immutable=bool(secret.immutable),
            type=secret.type,
            uid=secret.metadata.uid,
        )
    read = _CONFIG_MAPS.decode(body)
    data = {key: value.encode() for key, value in (read.data or {}).items()}
    return Content(data=data, binary=read.binary_data or {}, is_immutable=bool(read.immutable))
