"""What one client may take of a listener, and that others do not notice."""

import asyncio
import resource
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from log_server_world import LOGS, World, eventually, trusting, world

HEAD = b"GET /pods HTTP/1.1\r\nHost: n1\r\nAuthorization: Bearer admin-token\r\n"
ASKED = b"GET /healthz HTTP/1.1\r\nHost: n1\r\n\r\n"
TLS = trusting()
AT_REST = 1000
STALLED = 200
DRIPPING = 50
NOTICED = 5.0
"""Times slower than before, at the median."""


class Raw:
    """A TLS connection that a test writes to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            pass  # then the end says so

    async def head(self) -> str:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def rest(self) -> bytes:
        """Everything up to the end, however it comes."""
        said = b""
        try:
            while piece := await self._reader.read(65536):
                said += piece
        except ConnectionError:
            pass
        return said

    async def ended(self) -> bool:
        async with asyncio.timeout(10):
            await self.rest()
        return True

    def stall(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's is a duplex one

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def raw(here: World) -> AsyncIterator[Raw]:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", here.listener().port, ssl=TLS, server_hostname="n1"
        )
    client = Raw(reader, writer)
    try:
        yield client
    finally:
        client.leave()


async def test_a_head_of_ten_megabytes_is_refused_and_its_connection_closed(tmp_path: Path) -> None:
    async with world(tmp_path) as here, raw(here) as client:
        sending = asyncio.ensure_future(client.send(HEAD + b"X-Fill: " + b"x" * 10_000_000))
        async with asyncio.timeout(10):
            said = await client.rest()
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"connection: close" in head.lower()
        assert body == b"431 Request Header Fields Too Large"
        await sending


async def test_a_head_within_its_limit_passes(tmp_path: Path) -> None:
    async with world(tmp_path) as here, raw(here) as client:
        await client.send(HEAD + b"X-Fill: " + b"x" * 200_000 + b"\r\n\r\n")
        assert "200 OK" in await client.head()


async def test_what_is_no_request_gets_400(tmp_path: Path) -> None:
    async with world(tmp_path) as here, raw(here) as client:
        await client.send(b"\x16\x03\x01 nonsense\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_head_that_takes_too_long_ends_its_connection(tmp_path: Path) -> None:
    async with world(tmp_path, header_timeout_s=0.3) as here:
        async with raw(here) as first, raw(here) as second:
            await first.send(b"GET /pods HTT")
            assert await first.ended()
            # Not the first request of its connection, and its head came with the one before.
            await second.send(ASKED + b"GET /he")
            assert "200 OK" in await second.head()
            assert await second.ended()
        async with raw(here) as dripping, asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            drip = tasks.create_task(dripped(dripping))
            assert await dripping.ended()
            drip.cancel()
        async with raw(here) as idle, raw(here) as late:
            await idle.send(ASKED)
            assert "200 OK" in await idle.head()
            await late.send(b"GET /pods HTT")
            assert await late.ended()  # so long a head may take: here none has begun
            await idle.send(ASKED)
            assert "200 OK" in await idle.head()


async def dripped(client: Raw) -> None:
    for byte in HEAD * 100:
        await client.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_a_body_that_is_announced_too_large_is_refused_unread(tmp_path: Path) -> None:
    async with world(tmp_path, max_body_bytes=1000) as here, raw(here) as client:
        head = HEAD.replace(b"GET", b"POST")
        await client.send(head + b"Content-Length: 1001\r\n\r\n")
        async with asyncio.timeout(10):
            said = await client.rest()  # and it is closed, since the body would still come
        assert said.startswith(b"HTTP/1.1 413 ")
        async with here.admin() as admin:
            small = await admin.request("GET", "/pods", content=b"x" * 1000)
            assert small.status_code == 200


async def test_a_body_without_an_end_ends_its_connection(tmp_path: Path) -> None:
    async with world(tmp_path, max_body_bytes=100_000) as here, raw(here) as client:
        head = HEAD.replace(b"GET /pods", b"POST /run/default/p/c?cmd=cat")
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        await eventually(lambda: here.executor.streams.live)
        for _ in range(20):
            await client.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert await client.ended()
        await eventually(lambda: not here.executor.streams.live)


async def test_who_does_not_shake_hands_is_let_go(tmp_path: Path) -> None:
    async with world(tmp_path, handshake_timeout_s=0.3) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.listener().port)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    "limits", [{"max_connections_per_peer": 3}, {"max_connections": 3}], ids=["peer", "listener"]
)
async def test_connections_are_bounded_and_a_place_that_is_left_is_free(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    async with world(tmp_path, **limits) as here, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw(here)) for _ in range(3)]
        for client in clients:
            await client.send(ASKED)
            assert "200 OK" in await client.head()
        async with here.client() as fourth:
            with pytest.raises(httpx.TransportError):
                await fourth.get("/healthz")
        clients[0].leave()
        async with asyncio.timeout(10):
            while not await answered(here):
                await asyncio.sleep(0.02)


async def answered(here: World) -> bool:
    try:
        async with here.client() as client:
            return (await client.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(300)  # 1,250 handshakes, both ends on this machine
async def test_a_crowd_at_rest_a_slowloris_and_stalled_followers_disturb_nobody(
    tmp_path: Path,
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # both ends are here
    async with world(tmp_path, header_timeout_s=60.0) as here, AsyncExitStack() as stack:
        big, small = here.executor.log("big"), here.executor.log("c")
        big.write(*["x" * 1000] * 2000)
        small.write(*["line"] * 100)
        small.end()
        client = await stack.enter_async_context(here.admin())
        await median_s(client)
        alone = await median_s(client)
        for _ in range(AT_REST):
            await stack.enter_async_context(raw(here))
        for _ in range(STALLED):
            follower = await stack.enter_async_context(raw(here))
            path = b"/containerLogs/default/p/big"
            await follower.send(HEAD.replace(b"/pods", path + b"?follow=true") + b"\r\n")
            assert "200 OK" in await follower.head()
            follower.stall()
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        dripping = [await stack.enter_async_context(raw(here)) for _ in range(DRIPPING)]
        drips = [tasks.create_task(dripped(each)) for each in dripping]
        crowded = await median_s(client)
        for each in drips:
            each.cancel()
        print(f"alone {alone * 1000:.1f} ms, in the crowd {crowded * 1000:.1f} ms")  # noqa: T201 - shown with -s
        assert crowded < NOTICED * alone


async def median_s(client: httpx.AsyncClient) -> float:
    """How long a read of a log takes."""
    taken = []
    for _ in range(60):
        begun = time.perf_counter()
        answer = await client.get(LOGS)
        taken.append(time.perf_counter() - begun)
        assert (answer.status_code, answer.text) == (200, "line\n" * 100)
    return statistics.median(taken)
