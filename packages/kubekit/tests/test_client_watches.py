"""Watches and requests beside one another."""

import asyncio
from contextlib import AsyncExitStack

from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.testing import End, RecordedServer, Reply, json_reply


async def test_no_request_waits_for_a_watch_to_end(server: RecordedServer) -> None:
    server.will("watch", *[Reply(chunks=(b"a\n",), end=End.HELD)] * 3)
    server.will("get", json_reply({}))
    limited = connected(Connection(server=server.url), user_agent="t", connections=1)
    async with limited as api, AsyncExitStack() as stack, asyncio.timeout(20):
        for _ in range(3):
            opening = api.lines("/api/v1/pods", {"watch": "1"}, read_timeout_s=20)
            lines = await stack.enter_async_context(opening)
            assert await anext(lines) == b"a"
        assert (await api.request("GET", "/x", timeout_s=20)).status == 200
