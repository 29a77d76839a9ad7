"""tcpSocket probes, TLS, and what keeps a connection from being made."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from scripted_http import HANG, ScriptedServer, response, serve
from self_signed import self_signed

from contract.messages.health import HttpGet, TcpSocket
from wasm_executor.checking.checks import check
from wasm_executor.checking.finding import Finding
from wasm_executor.checking.wording import duration, exec_timed_out, quoted
from wasm_executor.domain.checks import Verdict

IP = "127.0.0.1"
TIMEOUT_S = 10.0
SHORT_S = 0.1


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Self-signed, for another name, and over."""
    day = datetime(2001, 1, 1, tzinfo=UTC)
    signed = self_signed("another.test", day, day + timedelta(days=1))
    return signed.context(tmp_path_factory.mktemp("tls"))


async def tcp(port: int, ip: str = IP, host: str = "", timeout_s: float = TIMEOUT_S) -> Finding:
    return await check(TcpSocket(port=port, host=host), ip, timeout_s)


async def https(server: ScriptedServer, timeout_s: float = TIMEOUT_S) -> Finding:
    return await check(HttpGet(port=server.port, scheme="HTTPS"), IP, timeout_s)


async def test_open_port_is_a_success_without_words(server: ScriptedServer) -> None:
    assert await tcp(server.port) == Finding(verdict=Verdict.SUCCESS)


@pytest.mark.parametrize(("ip", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_closed_port_is_a_failure(ip: str, shown: str) -> None:
    async with serve(ip) as server:
        port = server.port
    finding = await tcp(port, ip)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == f"dial tcp {shown}:{port}: connect: connection refused"


async def test_port_that_answers_nothing_is_a_time_out() -> None:
    with socket.socket() as full:
        full.bind((IP, 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        finding = await tcp(address[1], timeout_s=SHORT_S)
        for client in waiting:
            client.close()
    assert finding.output == f"dial tcp 127.0.0.1:{address[1]}: i/o timeout"


async def test_own_host_is_asked_instead_of_the_pod(server: ScriptedServer) -> None:
    assert (await tcp(server.port, "192.0.2.1", host=IP)).verdict is Verdict.SUCCESS
    named = HttpGet(port=server.port, host="localhost")
    assert (await check(named, "192.0.2.1", TIMEOUT_S)).verdict is Verdict.SUCCESS
    assert server.heads[0].startswith(f"GET / HTTP/1.1\r\nHost: localhost:{server.port}".encode())


async def test_name_that_nobody_knows_is_told() -> None:
    finding = await tcp(80, host="no.such.invalid")
    assert finding.verdict is Verdict.FAILURE
    assert finding.output.startswith("dial tcp: lookup no.such.invalid: ")


async def test_certificate_of_a_pod_is_not_verified(certificate: ssl.SSLContext) -> None:
    async with serve(IP, tls=certificate) as server:
        assert await https(server) == Finding(verdict=Verdict.SUCCESS, output="ok")
        server.answer("/", response("500 No"))
        assert (await https(server)).output == "HTTP probe failed with statuscode: 500"
        server.answer("/", HANG)
        assert (await https(server, SHORT_S)).output == (
            f'Get "https://127.0.0.1:{server.port}/": '
            "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )


async def test_redirect_from_https_to_http_does_not_say_where_from(
    certificate: ssl.SSLContext, server: ScriptedServer
) -> None:
    async with serve(IP, tls=certificate) as secure:
        secure.answer("/", response("302 Found", f"Location: http://127.0.0.1:{server.port}/"))
        assert (await https(secure)).verdict is Verdict.SUCCESS
    assert b"Referer" not in server.heads[0]


async def test_https_to_a_plain_server_is_told(server: ScriptedServer) -> None:
    server.greets = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert (await https(server)).output == (
        f'Get "https://127.0.0.1:{server.port}/": http: server gave HTTP response to HTTPS client'
    )


async def test_handshake_that_is_not_answered_is_a_time_out() -> None:
    with socket.create_server((IP, 0)) as silent:
        port = silent.getsockname()[1]
        async with asyncio.timeout(TIMEOUT_S):
            finding = await check(HttpGet(port=port, scheme="HTTPS"), IP, SHORT_S)
    assert finding.output == (
        f'Get "https://127.0.0.1:{port}/": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (0.5, "500ms"), (1.5, "1.5s"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s")],
)
def test_durations_are_gos(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_command_that_took_too_long_is_told_as_the_cri_client_does() -> None:
    said = 'command timed out: "tool sleep 5" timed out after 1s'
    assert exec_timed_out(("tool", "sleep", "5"), 1.0) == said


def test_quotes_are_gos() -> None:
    assert quoted('a"b\\\n\x01ü\u200b\udcff') == r'"a\"b\\\n\x01ü\u200b\xff"'
