"""grpc probes. The expected texts are what kubelet 1.36's own prober said to the same answers."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from scripted_grpc import HEAD, Reply, ScriptedGrpc, failed, serve_grpc, serving, status

from contract.messages.health import Grpc
from wasm_executor.checking.checks import check
from wasm_executor.checking.finding import Finding
from wasm_executor.domain.checks import Verdict

IP = "127.0.0.1"
TIMEOUT_S = 10.0
SHORT_S = 0.1
OK = [("grpc-status", "0")]
BAD_STATUS = "unexpected HTTP status code received from server:"
RPC = "error: health rpc probe failed: rpc error: code ="
NO_PROTOCOL = (
    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health):"
)


@pytest.fixture
async def grpc() -> AsyncIterator[ScriptedGrpc]:
    async with serve_grpc() as server:
        yield server


async def ask(server: ScriptedGrpc, service: str = "", timeout_s: float = TIMEOUT_S) -> Finding:
    return await check(Grpc(port=server.port, service=service), IP, timeout_s)


async def test_serving_is_a_success(grpc: ScriptedGrpc) -> None:
    assert await ask(grpc) == Finding(verdict=Verdict.SUCCESS, output="service healthy")


async def test_call_is_the_health_protocols(grpc: ScriptedGrpc) -> None:
    name = "s" * 200
    await ask(grpc, name, timeout_s=2.5)
    assert grpc.asked == [
        {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/grpc.health.v1.Health/Check",
            ":authority": f"127.0.0.1:{grpc.port}",
            "content-type": "application/grpc",
            "user-agent": "kube-probe/1.36",
            "te": "trailers",
            "grpc-timeout": "2500m",
        }
    ]
    body = b"\x0a\xc8\x01" + name.encode()
    assert grpc.questions == [b"\0" + len(body).to_bytes(4) + body]


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN"), (7, "7")],
)
async def test_any_other_status_is_a_failure_that_names_it(
    grpc: ScriptedGrpc, number: int, name: str
) -> None:
    grpc.reply = serving(number)
    finding = await ask(grpc)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == f'service unhealthy (responded with "{name}")'


NO_LENGTH = b"\0\0\0\0\x05ab"
NO_PROTOBUF = b"\0\0\0\0\x02\xff\xff"
COMPRESSED = b"\x01\0\0\0\x02\x08\x01"
PLAIN = ("content-type", "text/plain")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (failed(12, "unknown service"), f"{NO_PROTOCOL} unknown service"),
        (failed(5, "no%20service"), f"{RPC} NotFound desc = no service"),
        (failed(14, "down"), f"{RPC} Unavailable desc = down"),
        (failed(4, "late"), "timeout: health rpc did not complete within 10s"),
        (
            Reply(reset=True),
            f"{RPC} Internal desc = stream terminated by RST_STREAM with error code: NO_ERROR",
        ),
        (Reply(closes=True), f"{RPC} Unavailable desc = error reading from server: EOF"),
        (
            Reply(head=[(":status", "404"), PLAIN]),
            f"{NO_PROTOCOL} {BAD_STATUS} 404 (Not Found); "  # noqa: ISC004 - one text
            'transport: received unexpected content-type "text/plain"',
        ),
        (
            Reply(head=[(":status", "500")], data=b"oops"),
            f"{RPC} Unknown desc = {BAD_STATUS} "  # noqa: ISC004 - one text
            "500 (Internal Server Error); malformed header: missing HTTP content-type",
        ),
        (
            Reply(head=HEAD, trailers=OK),
            f"{RPC} Internal desc = cardinality violation: "  # noqa: ISC004 - one text
            "received no response message from non-server-streaming RPC",
        ),
        (
            Reply(data=status(1)),
            f"{RPC} Internal desc = server closed the stream without sending trailers",
        ),
        (Reply(data=NO_LENGTH, trailers=OK), f"{RPC} Internal desc = unexpected EOF"),
        (
            Reply(data=NO_PROTOBUF, trailers=OK),
            f"{RPC} Internal desc = grpc: "  # noqa: ISC004 - one text
            "failed to unmarshal the received message: "
            "proto: cannot parse invalid wire-format data",
        ),
        (
            Reply(data=COMPRESSED, trailers=OK),
            f"{RPC} Internal desc = grpc: compressed flag set with identity or empty encoding",
        ),
    ],
)
async def test_call_that_fails_is_a_failure_in_grpcs_words(
    grpc: ScriptedGrpc, reply: Reply, text: str
) -> None:
    grpc.reply = reply
    finding = await ask(grpc)
    assert (finding.verdict, finding.output) == (Verdict.FAILURE, text)


async def test_long_answer_is_not_kept(grpc: ScriptedGrpc) -> None:
    grpc.reply = Reply(data=b"\0" * 16_000)
    assert (await ask(grpc)).output.startswith(f"{RPC} ResourceExhausted desc = ")


async def test_call_that_hangs_is_a_failure_of_the_call(grpc: ScriptedGrpc) -> None:
    grpc.reply = Reply(hangs=True)
    finding = await ask(grpc, timeout_s=SHORT_S)
    assert finding.output == "timeout: health rpc did not complete within 100ms"
    async with asyncio.timeout(TIMEOUT_S):
        await grpc.left.wait()


@pytest.mark.parametrize("listens", [True, False])
async def test_server_that_speaks_no_http2_is_waited_for_until_the_end(*, listens: bool) -> None:
    with socket.create_server((IP, 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        finding = await check(Grpc(port=port), IP, SHORT_S)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == (
        f'timeout: failed to connect service "127.0.0.1:{port}" '
        "within 100ms: context deadline exceeded"
    )


def test_http2_is_not_in_memory_before_a_grpc_probe() -> None:
    program = """
import sys
import wasm_executor.checking.checks
print([name for name in ("h2", "hpack", "http.client") if name in sys.modules])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout == "[]\n"
