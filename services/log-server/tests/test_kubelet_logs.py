"""`/containerLogs` over TLS, from an executor on a real bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from log_server_peers import stamp
from log_server_world import LOGS, NODE, World, eventually, world

from contract.errors import CommandError
from log_server.metrics import LOG_STREAMS

OLD = "2026-01-02T03:04:05.000000001Z"
NEW = "2026-01-02T03:04:06.5Z"
LINES = 16 * 1024


def open_streams() -> float:
    return float(LOG_STREAMS._value.get())


@asynccontextmanager
async def following(here: World, query: str = "") -> AsyncIterator["Reader"]:
    """A client that follows the log of container `c`."""
    async with (
        here.admin() as client,
        client.stream("GET", f"{LOGS}?follow=true&{query}") as answer,
    ):
        assert answer.status_code == 200
        yield Reader(answer)


class Reader:
    """Reads what a test expects, and no more."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._chunks = answer.aiter_raw()
        self._rest = b""

    async def take(self, count: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self._rest) < count:
                self._rest += await anext(self._chunks)
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    async def ends(self) -> bytes:
        async with asyncio.timeout(25):
            return self._rest + b"".join([chunk async for chunk in self._chunks])


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", b"one\ntwo parts\n\xff\x00\x1b[1m\nthree\n"),
        ("tailLines=1", b"three\n"),
        ("tailLines=0", b""),
        ("tail=1", b"three\n"),
        ("limitBytes=6", b"one\ntw"),
        (f"sinceTime={NEW}", b"three\n"),
        ("sinceTime=2026-01-02T03:04:07Z", b""),
        ("sinceSeconds=3600", b""),
        (
            "timestamps=true&limitBytes=67",
            f"{OLD} one\n{OLD} t".encode(),
        ),
        ("timestamps=true&tailLines=1", b"2026-01-02T03:04:06.500000000Z three\n"),
        ("previous=true", b"before\n"),
    ],
)
async def test_an_ended_log_is_shown_as_asked(tmp_path: Path, query: str, shown: bytes) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        log = here.executor.log("c")
        log.write("one", at=OLD)
        log.write("two ", at=OLD, tag="P")
        log.write("parts", at=OLD, stream="stderr")
        log.raw(f"{OLD} stdout F ".encode() + b"\xff\x00\x1b[1m\n")
        log.write("three", at=NEW)
        log.end()
        before = here.executor.log("c", previous=True)
        before.write("before")
        before.end()
        answer = await client.get(f"{LOGS}?{query}")
        assert (answer.status_code, answer.content) == (200, shown)
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "content-type" not in answer.headers
        assert here.executor.opened[0].namespace == "default"


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/containerLogs/default//c", 400, '{"message": "Missing podID."}'),
        ("/containerLogs/default/p/", 400, '{"message": "Missing container name."}'),
        ("/containerLogs//p/c", 400, '{"message": "Missing podNamespace."}'),
        (f"{LOGS}?tailLines=x", 400, '{"message": "Unable to decode query."}'),
        (f"{LOGS}?tailLines=-1", 422, '{"message": "Invalid request."}'),
        (f"{LOGS}?limitBytes=0", 422, '{"message": "Invalid request."}'),
        (
            f"{LOGS}?stream=Stdout",
            400,
            (
                'unable to return the given log stream: "Stdout". '
                "Please enable PodLogsQuerySplitStreams feature gate in kubelet"
            ),
        ),
        ("/containerLogs/default/p/gone", 404, 'container "gone" not found in pod "p"'),
        (
            "/containerLogs/default/p/waiting",
            400,
            'container "waiting" in pod "p" is waiting to start: ContainerCreating',
        ),
        ("/containerLogs/default/p/strange", 500, "the file is not readable"),
        ("/containerLogs/default/p", 404, "404 page not found\n"),
        ("/containerLogs/", 404, "404 page not found\n"),
    ],
)
async def test_a_refusal_has_the_kubelets_code_and_text(
    tmp_path: Path, path: str, status: int, text: str
) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        here.executor.refusals["waiting"] = CommandError(
            400, 'container "waiting" in pod "p" is waiting to start: ContainerCreating'
        )
        here.executor.refusals["strange"] = CommandError(507, "the file is not readable")
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (status, text)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_headers_come_at_once_and_lines_as_they_are_written(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        log = here.executor.log("c")
        async with following(here) as reader:  # nothing has been written
            for number in range(20):
                line = f"line {number}\n".encode()
                log.write(line.decode().rstrip())
                assert await reader.take(len(line)) == line
            log.write("last")
            log.end()
            assert await reader.ends() == b"last\n"


async def test_following_a_tail_begins_there_and_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        log = here.executor.log("c")
        log.write("one", "two")
        async with following(here, "tailLines=1&limitBytes=9") as reader:
            assert await reader.take(4) == b"two\n"
            log.write("three")
            assert await reader.ends() == b"three"


async def test_a_log_without_follow_ends_where_the_file_does(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        log = here.executor.log("c")
        recent = stamp(datetime.now(UTC) - timedelta(seconds=5))
        log.write("long ago", at=OLD)
        log.write("now", at=recent)
        assert (await client.get(f"{LOGS}?sinceSeconds=60")).content == b"now\n"


async def test_a_large_log_comes_whole(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        log = here.executor.log("c")
        expected = b"".join(b"%08d " % number + b"x" * 991 + b"\n" for number in range(20_000))
        log.raw(
            b"".join(
                f"{OLD} stdout F ".encode() + line for line in expected.splitlines(keepends=True)
            )
        )
        log.end()
        answer = await client.get(LOGS)
        assert answer.content == expected


async def test_the_end_of_a_reader_ends_its_stream(tmp_path: Path) -> None:
    async with world(tmp_path, follow_wait_s=30.0) as here:
        log = here.executor.log("c")
        log.write("one")
        async with following(here) as reader:
            assert await reader.take(4) == b"one\n"
            assert open_streams() == 1
        await eventually(lambda: open_streams() == 0)
        reads = log.reads
        async with following(here) as other:
            assert await other.take(4) == b"one\n"
            for _ in range(10):
                log.write("two")
                assert await other.take(4) == b"two\n"
        assert log.reads <= reads + 12  # one for each line, and the other's last: nobody else reads


async def test_a_reader_that_stalls_costs_one_chunk_and_one_that_goes_on_gets_all(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, chunk_bytes=65536) as here:
        log = here.executor.log("c")
        line = f"{OLD} stdout F ".encode() + b"y" * 983 + b"\n"
        log.raw(line * LINES)  # 16 MiB
        log.end()
        async with following(here) as reader:
            await reader.take(1)
            async with following(here) as other:  # the time in which it could have read all
                assert len(await other.ends()) == LINES * 984
            reads = log.reads
            assert len(await reader.ends()) == LINES * 984 - 1
            assert reads - log.reads / 2 < 100  # of 277: what two kernels' and TLS's buffers hold


async def test_an_executor_that_is_away_is_said_before_the_first_byte(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        here.executor.log("c").write("one")
        await here.peers.leave(NODE)
        answer = await client.get(LOGS)
        assert answer.status_code == 500
        assert answer.text.startswith('node "n1" does not answer at the moment')
        await here.peers.arrive(NODE)
        assert (await client.get(LOGS)).content == b"one\n"


async def test_a_stream_goes_on_after_the_executor_was_away(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        log = here.executor.log("c")
        async with following(here) as reader:
            log.write("one")
            assert await reader.take(4) == b"one\n"
            await here.peers.leave(NODE)
            log.write("two", "three")
            await here.peers.arrive(NODE)
            assert await reader.take(10) == b"two\nthree\n"
            log.end()
            assert await reader.ends() == b""


async def test_a_stream_goes_on_after_the_bus_was_killed(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        log = here.executor.log("c")
        async with following(here) as reader:
            log.write("one")
            assert await reader.take(4) == b"one\n"
            here.peers.server.kill()
            log.write("two")
            await eventually(lambda: here.server.unready() is not None)
            here.peers.server.start()
            assert await reader.take(4) == b"two\n"
            log.end()
            assert await reader.ends() == b""


async def test_a_stream_ends_cleanly_when_the_executor_stays_away(tmp_path: Path) -> None:
    async with world(tmp_path, stream_patience_s=0.3) as here:
        log = here.executor.log("c")
        async with following(here) as reader:
            log.write("one")
            assert await reader.take(4) == b"one\n"
            await here.peers.leave(NODE)
            assert await reader.ends() == b""


async def test_a_stream_ends_when_the_log_is_no_longer_there(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.executor.log("c").write("one")
        async with following(here) as reader:
            assert await reader.take(4) == b"one\n"
            here.executor.log("c").broken = CommandError(404, "the pod is forgotten")
            here.executor.log("c").write("two")
            assert await reader.ends() in (b"two\n", b"")
