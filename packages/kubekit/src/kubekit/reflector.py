"""A local copy of a collection that follows the API server for ever, and never by guessing.

The client's own watch loops without a pause on an empty answer, takes an error page for an event,
and fails a whole list for one odd field. This one promises: every change once and in order for
each object; `Deleted` only when the API showed the deletion (in the watch, or a GET by name that
answers NotFound or another UID); no error of the server, and no bad object, ends the loop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog

from kubekit.answers import error_from_status, parse_status
from kubekit.backoff import Backoff
from kubekit.changes import Change, Synced
from kubekit.client import Api
from kubekit.errors import ApiError, MalformedAnswerError, NotFoundError, UnreachableError
from kubekit.listing import Position, Source
from kubekit.objects import (
    ObjectList,
    ObjectMeta,
    ObjectUid,
    WatchEvent,
    meta_of,
    object_path,
    version_of,
)
from kubekit.store import Store

# A watch that ends sooner is an ill server (or proxy); without a pause we would make it worse.
_SHORT_WATCH_S: Final = 1.0
_CLIENT_PATIENCE_S: Final = 15.0
_LIST_TIMEOUT_S: Final = 60.0
_GET_TIMEOUT_S: Final = 10.0

_LIST: Final = msgspec.json.Decoder(ObjectList)
_EVENT: Final = msgspec.json.Decoder(WatchEvent)

log = structlog.get_logger(__name__)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long watches last and how long to wait after failures."""

    watch_min_s: float = 300.0
    watch_max_s: float = 600.0
    backoff_initial_s: float = 0.8
    backoff_maximum_s: float = 30.0


class Reflector[T]:
    """Lists and watches a `Source`, keeps `store`, and awaits `deliver` for each change.

    `deliver` is awaited before the next event is read, so a slow consumer slows the watch down and
    nothing piles up here; what it raises ends `run`. `decode` gets the object's JSON, which it must
    not keep a view of; what it raises is logged, and that object stays as it was.
    """

    def __init__(
        self,
        api: Api,
        source: Source,
        *,
        decode: Callable[[msgspec.Raw], T],
        deliver: Callable[[Change[T]], Awaitable[None]],
        pace: Pace = Pace(),  # noqa: B008 -- frozen
    ) -> None:
        self._api = api
        self._source = source
        self._decode = decode
        self._deliver = deliver
        self._pace = pace
        self._backoff = Backoff(
            random.random,
            initial_s=pace.backoff_initial_s,
            maximum_s=pace.backoff_maximum_s,
        )
        self._position = Position()
        self._store: Store[T] = Store()
        self._unconfirmed: set[ObjectUid] = set()
        self._synced = asyncio.Event()
        self._last_contact: float | None = None
        self._reachable = False
        self.bad_objects = 0

    @property
    def store(self) -> Mapping[ObjectUid, T]:
        """The newest version of each object. It follows; it is no copy."""
        return self._store.objects

    @property
    def reachable(self) -> bool:
        """Whether the last try at the API server succeeded (for /readyz)."""
        return self._reachable

    @property
    def last_contact(self) -> float | None:
        """When the API server last said anything to us, on `time.monotonic`."""
        return self._last_contact

    async def synced(self) -> None:
        """Wait until the first whole list has been delivered."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow until cancelled. Errors of the server are logged and waited out, never raised."""
        while True:
            try:
                await self._cycle()
            except ApiError as error:
                await self._wait_out(error)

    async def _wait_out(self, error: ApiError) -> None:
        self._reachable = False
        self._position.failed(error)
        delay_s = self._backoff.delay_s(time.monotonic(), retry_after_s=error.retry_after_s)
        log.warning(
            "watch.interrupted",
            path=self._source.path,
            selector=self._source.field_selector,
            error=str(error),
            relist=self._position.must_list,
            retry_in_s=round(delay_s, 1),
        )
        await asyncio.sleep(delay_s)

    async def _cycle(self) -> None:
        if self._position.must_list:
            await self._list()
        await self._recheck()
        await self._watch()
        self._backoff.reset()

    async def _list(self) -> None:
        listed: set[ObjectUid] = set()
        token = ""
        while True:
            page = await self._page(token)
            for item in page.items or ():
                if (meta := await self._take_in(item)) is not None:
                    listed.add(meta.uid)
            # From now on "0" would be a step back, even if the next page fails.
            self._position.seen(page.metadata.resource_version)
            token = page.metadata.continue_
            if not token:
                break
        self._unconfirmed = {meta.uid for meta in self._store.missing_from(listed)}
        await self._recheck()
        self._position.listed(page.metadata.resource_version)
        first = not self._synced.is_set()
        await self._deliver(Synced(first=first))
        self._synced.set()

    async def _page(self, token: str) -> ObjectList:
        query = self._source.selectors() | self._position.list_query(token)
        response = await self._api.request(
            "GET", self._source.path, query=query, timeout_s=_LIST_TIMEOUT_S
        )
        self._contacted()
        try:
            return _LIST.decode(response.body)
        except msgspec.DecodeError as error:
            raise MalformedAnswerError(f"list of {self._source.path}: {error}") from error

    async def _watch(self) -> None:
        # Many reflectors that started together must not come back together.
        timeout_s = random.uniform(self._pace.watch_min_s, self._pace.watch_max_s)  # noqa: S311
        query = self._source.selectors() | self._position.watch_query(max(1, round(timeout_s)))
        started, seen = time.monotonic(), self._position.version
        async with self._api.lines(
            self._source.path, query, read_timeout_s=timeout_s + _CLIENT_PATIENCE_S
        ) as lines:
            self._contacted()
            async for line in lines:
                self._contacted()
                await self._on_event(line)
        # One that got us further was closed because we were slow: in a crowd of starts, say.
        nothing_new = self._position.version == seen
        if nothing_new and time.monotonic() - started < _SHORT_WATCH_S:
            raise UnreachableError(f"watch of {self._source.path}: it ended at once")

    async def _on_event(self, line: bytes) -> None:
        try:
            event = _EVENT.decode(line)
            if event.type == "BOOKMARK":
                self._position.seen(version_of(event.object))
                return
        except msgspec.DecodeError as error:
            raise MalformedAnswerError(f"watch of {self._source.path}: {error}") from error
        match event.type:
            case "ADDED" | "MODIFIED":
                meta = await self._take_in(event.object)
            case "DELETED":
                meta = await self._drop(event.object)
            case _:
                raise self._error_of(event)
        if meta is not None:
            self._position.seen(meta.resource_version)

    def _error_of(self, event: WatchEvent) -> ApiError:
        status = parse_status(event.object)
        if event.type == "ERROR" and status is not None:
            return error_from_status(status)
        return MalformedAnswerError(f"watch of {self._source.path}: event type {event.type!r}")

    async def _take_in(self, raw: msgspec.Raw) -> ObjectMeta | None:
        """Deliver a version unless it is known; its identity, unless even that is unreadable."""
        try:
            meta = meta_of(raw)
        except msgspec.DecodeError as error:
            self._report_bad(None, error)
            return None
        if self._store.has(meta):
            return meta
        if (rival := self._store.rival_of(meta)) is not None:
            await self._confirm(rival)
        try:
            value = self._decode(raw)
        except Exception as error:  # noqa: BLE001 -- whatever a decoder raises, the others go on
            self._report_bad(meta, error)
            return meta
        await self._deliver(self._store.put(meta, value))
        return meta

    async def _drop(self, raw: msgspec.Raw) -> ObjectMeta | None:
        """The watch shows a deletion, with the object's last state."""
        meta = _try_meta(raw)
        if meta is None:
            # Which object went cannot be told from this; the next list and its GETs find out.
            raise MalformedAnswerError(f"watch of {self._source.path}: a deletion without UID")
        deleted = self._store.remove(meta.uid)
        self._unconfirmed.discard(meta.uid)
        if deleted is not None:
            await self._deliver(deleted)
        return meta

    async def _recheck(self) -> None:
        """Ask by name for each object that a list did not show."""
        for uid in tuple(self._unconfirmed):
            meta = self._store.meta(uid)
            if meta is not None:
                await self._confirm(meta)
            else:
                self._unconfirmed.discard(uid)

    async def _confirm(self, meta: ObjectMeta) -> None:
        """Deliver `Deleted` if the object is gone; else leave it in peace and ask again later."""
        if not await self._is_gone(meta):
            log.warning("object.missing_from_list", uid=meta.uid, name=meta.name)
            self._unconfirmed.add(meta.uid)
            return
        self._unconfirmed.discard(meta.uid)
        deleted = self._store.remove(meta.uid)
        if deleted is not None:
            await self._deliver(deleted)

    async def _is_gone(self, meta: ObjectMeta) -> bool:
        path = object_path(self._source.path, meta.namespace, meta.name)
        try:
            response = await self._api.request("GET", path, timeout_s=_GET_TIMEOUT_S)
        except NotFoundError as error:
            # A proxy's or a starting server's "404 page not found" says nothing about the object.
            return error.reason == "NotFound"
        except ApiError as error:
            if error.retryable:
                raise
            return False
        fresh = _try_meta(response.body)
        return fresh is not None and fresh.uid != meta.uid

    def _contacted(self) -> None:
        self._reachable = True
        self._last_contact = time.monotonic()

    def _report_bad(self, meta: ObjectMeta | None, error: Exception) -> None:
        self.bad_objects += 1
        log.error(
            "object.unreadable",
            path=self._source.path,
            uid=meta.uid if meta else "",
            name=meta.name if meta else "",
            error=str(error),
        )


def _try_meta(raw: bytes | msgspec.Raw) -> ObjectMeta | None:
    try:
        return meta_of(raw)
    except msgspec.DecodeError:
        return None
