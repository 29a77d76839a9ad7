"""grpc probes: `grpc.health.v1.Health/Check` over plaintext HTTP/2.

One unary call needs of gRPC a path, five bytes before a message and two trailers; of protobuf one
field each way. h2 is imported with the first grpc probe: it costs some 6 MiB, and most nodes have
no such probe. As with the kubelet, a server that refuses the connection is tried again until the
time is over, and only the end of the time is told.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from contract.messages.health import Grpc
from wasm_executor.checking.dialling import dial
from wasm_executor.checking.errors import CheckingError
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.grpcwire import (
    SERVING,
    Call,
    Code,
    health_question,
    status_name,
)
from wasm_executor.checking.wording import TIMED_OUT, duration, joined, quoted
from wasm_executor.domain.checks import Verdict

if TYPE_CHECKING:
    from wasm_executor.checking.grpccalling import Channel

FIRST_PAUSE_S: Final = 1.0
"""Between two attempts to connect, as gRPC has it; then 1.6 times as long."""
PAUSE_FACTOR: Final = 1.6
_NO_PROTOCOL: Final = (
    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
)


async def probe_grpc(action: Grpc, pod_ip: str, timeout_s: float) -> Finding:
    """Ask once. What goes wrong is a failure, whatever it is."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    within = duration(timeout_s)
    try:
        async with asyncio.timeout_at(deadline):
            channel = await _connected(pod_ip, action.port)
    except TimeoutError:
        address = quoted(joined(pod_ip, action.port))
        return failure(f"timeout: failed to connect service {address} within {within}: {TIMED_OUT}")
    try:
        async with asyncio.timeout_at(deadline):
            call = await channel.call(health_question(action.service), timeout_s)
    except TimeoutError:
        return failure(_too_slow(within))
    finally:
        channel.leave()
    return _judged(call, within)


async def _connected(host: str, port: int) -> "Channel":
    from wasm_executor.checking.grpccalling import Channel

    pause_s = FIRST_PAUSE_S
    while True:
        channel = Channel(joined(host, port))
        try:
            await dial(lambda channel=channel: channel, host, port)  # type: ignore[misc]
            if await channel.ready:
                return channel
        except CheckingError:
            pass  # the kubelet tells it to nobody either
        except asyncio.CancelledError:
            channel.leave()
            raise
        channel.leave()
        await asyncio.sleep(pause_s)
        pause_s *= PAUSE_FACTOR


def _judged(call: Call, within: str) -> Finding:
    match call.code:
        case Code.OK:
            if call.status == SERVING:
                return Finding(verdict=Verdict.SUCCESS, output="service healthy")
            said = quoted(status_name(call.status))
            return failure(f"service unhealthy (responded with {said})")
        case Code.UNIMPLEMENTED:
            return failure(f"{_NO_PROTOCOL}{call.text}")
        case Code.DEADLINE_EXCEEDED:
            return failure(_too_slow(within))
    error = f"rpc error: code = {call.code.title} desc = {call.text}"
    return failure(f"error: health rpc probe failed: {error}")


def _too_slow(within: str) -> str:
    return f"timeout: health rpc did not complete within {within}"
