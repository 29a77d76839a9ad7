"""httpGet probes. The expected texts are what kubelet 1.36's own prober said to the same bytes."""

import asyncio
import gc
import tracemalloc

import pytest
from scripted_http import HANG, RESET, ScriptedServer, response, serve

from contract.messages.health import HttpGet
from wasm_executor.checking.checks import ATTEMPTS, check
from wasm_executor.checking.exchange import MAX_HEAD_BYTES
from wasm_executor.checking.finding import MAX_BODY_BYTES, Finding
from wasm_executor.domain.checks import Verdict

BROKEN = "net/http: HTTP/1.x transport connection broken: malformed"
READING_BODY = (
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
)

IP = "127.0.0.1"
TIMEOUT_S = 10.0
SHORT_S = 0.1


async def ask(server: ScriptedServer, path: str = "/", timeout_s: float = TIMEOUT_S) -> Finding:
    return await check(HttpGet(port=server.port, path=path), server.host, timeout_s)


async def free_port() -> int:
    async with serve(IP) as server:
        return server.port


@pytest.mark.parametrize("status", [200, 201, 204, 226, 299])
async def test_success_is_from_200_on(server: ScriptedServer, status: int) -> None:
    server.answer("/", response(f"{status} Fine", body=b"" if status == 204 else b"fine"))
    finding = await ask(server)
    assert (finding.verdict, finding.warning) == (Verdict.SUCCESS, "")


@pytest.mark.parametrize("status", [400, 404, 418, 500, 503, 599])
async def test_failure_names_the_status_and_never_the_body(
    server: ScriptedServer, status: int
) -> None:
    server.answer("/", response(f"{status} No", body=b"a secret"))
    finding = await ask(server)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == f"HTTP probe failed with statuscode: {status}"


async def test_status_below_200_is_a_failure(server: ScriptedServer) -> None:
    server.answer("/", response("101 Switching Protocols", "Upgrade: x", "Connection: upgrade"))
    assert (await ask(server)).output == "HTTP probe failed with statuscode: 101"


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok"),
        (b"HTTP/1.0 200 OK\r\n\r\ntill the end", "till the end"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", "ok"),
        (response("103 Early Hints", sized=False) + response("200 OK", body=b"late"), "late"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
    ],
)
async def test_answers_of_odd_servers_are_understood(
    server: ScriptedServer, answer: bytes, output: str
) -> None:
    server.answer("/", answer)
    assert await ask(server) == Finding(verdict=Verdict.SUCCESS, output=output)


async def test_body_is_read_up_to_ten_kib(server: ScriptedServer) -> None:
    long = b"a" * 4 * MAX_BODY_BYTES
    server.answer(
        "/", response("200 OK", f"Content-Length: {2 * len(long)}", sized=False), long, HANG
    )
    finding = await ask(server)
    assert finding == Finding(verdict=Verdict.SUCCESS, output="a" * 10240)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", ""),
        (b"garbage\r\n\r\n", 'HTTP response "garbage"'),
        (b"220 ftp ready\r\n", 'HTTP status code "ftp"'),
        (b"\x15\x03\x01\x00\x02\x02\n", r'HTTP response "\x15\x03\x01\x00\x02\x02"'),
        (b"HTTP/1.1 abc OK\r\n\r\n", 'HTTP status code "abc"'),
        (b"HTTP/1.1 20 OK\r\n\r\n", 'HTTP status code "20"'),
        (b"HTTP/1.1 20", 'HTTP status code "20"'),
        (b"HTTP/x.1 200 OK\r\n\r\n", 'HTTP version "HTTP/x.1"'),
        (b"ICY 200 OK\r\n\r\n", 'HTTP version "ICY"'),
        (b"HTTP/1.1 200 OK\r\nContent-", 'MIME header: missing colon: "Content-"'),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 'MIME header: missing colon: "no colon"'),
    ],
)  # fmt: skip
async def test_what_is_no_response_is_told_as_go_tells_it(
    server: ScriptedServer, answer: bytes, text: str
) -> None:
    server.answer("/", answer)
    said = f"{BROKEN} {text}" if answer else "EOF"
    finding = await ask(server)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == f'Get "http://127.0.0.1:{server.port}/": {said}'


async def test_reset_is_told_with_both_ends(server: ScriptedServer) -> None:
    server.answer("/", RESET)
    output = (await ask(server)).output
    start, _, end = output.partition("read tcp 127.0.0.1:")
    assert start == f'Get "http://127.0.0.1:{server.port}/": '
    local, _, end = end.partition("->")
    assert local.isdigit()
    assert end == f"127.0.0.1:{server.port}: read: connection reset by peer"


async def test_refused_connection_is_told_with_its_address() -> None:
    port = await free_port()
    finding = await check(HttpGet(port=port, path="/healthz"), IP, TIMEOUT_S)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == (
        f'Get "http://127.0.0.1:{port}/healthz": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )


async def test_ipv6_stands_in_brackets() -> None:
    async with serve("::1") as server:
        assert (await ask(server)).verdict is Verdict.SUCCESS
        assert f"Host: [::1]:{server.port}\r\n".encode() in server.heads[0]
    assert (await ask(server, "/x")).output == (
        f'Get "http://[::1]:{server.port}/x": '
        f"dial tcp [::1]:{server.port}: connect: connection refused"
    )


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
async def test_head_that_does_not_come_in_time_is_a_failure(
    server: ScriptedServer, begun: bytes
) -> None:
    server.answer("/", begun, HANG)
    finding = await ask(server, timeout_s=SHORT_S)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == (
        f'Get "http://127.0.0.1:{server.port}/": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )
    async with asyncio.timeout(TIMEOUT_S):
        await server.left.wait()


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((HANG,), READING_BODY),
        ((), "unexpected EOF"),
        ((RESET,), "read: connection reset by peer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["200 OK", "500 No"])
async def test_body_that_is_cut_off_is_an_error_of_the_prober_and_tried_again(
    server: ScriptedServer, status: str, parts: tuple[bytes, ...], text: str
) -> None:
    server.answer("/", response(status, "Content-Length: 20", body=b"ok", sized=False), *parts)
    finding = await ask(server, timeout_s=SHORT_S)
    assert (finding.verdict, finding.state) == (Verdict.UNKNOWN, Verdict.FAILURE)
    assert finding.output.endswith(text)
    assert len(server.heads) == ATTEMPTS == 3


async def test_head_without_end_leaves_nothing_in_memory(server: ScriptedServer) -> None:
    server.answer("/", b"HTTP/1.1 200 OK\r\nX: ", b"y" * 2 * MAX_HEAD_BYTES)
    await ask(server)
    gc.disable()  # errors keep their frames until a collection, which is seldom
    tracemalloc.start()
    try:
        for _ in range(10):
            await ask(server)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held < 2 * MAX_HEAD_BYTES


async def test_failure_is_not_tried_again(server: ScriptedServer) -> None:
    server.answer("/", response("500 No"))
    await ask(server)
    assert len(server.heads) == 1


async def test_chunk_that_is_none_is_an_error_of_the_prober(server: ScriptedServer) -> None:
    server.answer(
        "/", response("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\n", sized=False)
    )
    finding = await ask(server)
    assert (finding.verdict, finding.output) == (Verdict.UNKNOWN, "invalid byte in chunk length")
