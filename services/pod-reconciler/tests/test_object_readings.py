"""What a reading of a ConfigMap leaves to those who wait for it, when nobody wants it any more."""

import asyncio
import time
from contextlib import suppress

from reconciler_api import PodApi
from reconciler_peer import until
from reconciler_store import config_map

from kubekit.client import connected
from kubekit.kubeconfig import Connection
from pod_reconciler.domain.material import Content, Kind, ObjectKey
from pod_reconciler.objects import Freshness, ObjectCache, PlacedKey

KEY = PlacedKey("default", ObjectKey(Kind.CONFIG_MAP, "settings"))


async def color(cache: ObjectCache, since_s: float) -> bytes:
    read = await cache.read(KEY, since_s)
    assert isinstance(read, Content)
    return read.data["color"]


async def test_a_reading_that_is_cancelled_makes_nothing_new_of_what_is_old(api: PodApi) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    async with connected(Connection(server=api.url), user_agent="wasmlet/test") as client:
        cache = ObjectCache(client, Freshness())
        for user in ("gone", "new"):
            cache.hold(user, [KEY], lambda: None)
        assert await color(cache, time.monotonic()) == b"blue"
        since_s = time.monotonic()
        api.objects.put(config_map("settings", {"color": "green"}))
        api.objects.stalled = {"settings"}
        async with asyncio.TaskGroup() as tasks:
            gone = tasks.create_task(color(cache, time.monotonic()))
            await until(lambda: api.objects.reads_of("settings") == 2)
            waiting = tasks.create_task(color(cache, since_s))
            await asyncio.sleep(0)  # it waits for the other's answer
            api.objects.stalled = set()
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
        assert waiting.result() == b"green"
        assert api.objects.reads_of("settings") == 3
