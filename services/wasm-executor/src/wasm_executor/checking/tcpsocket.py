"""tcpSocket probes: a connection that opens is a success."""

import asyncio

from contract.messages.health import TcpSocket
from wasm_executor.checking.dialling import dial
from wasm_executor.checking.errors import CheckingError
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.wording import dial_timed_out
from wasm_executor.domain.checks import Verdict


async def probe_tcp(action: TcpSocket, pod_ip: str, timeout_s: float) -> Finding:
    host = action.host or pod_ip
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await dial(asyncio.Protocol, host, action.port)
    except TimeoutError:
        return failure(dial_timed_out(host, action.port))
    except CheckingError as error:
        return failure(error.text)
    transport.close()
    return Finding(verdict=Verdict.SUCCESS)
