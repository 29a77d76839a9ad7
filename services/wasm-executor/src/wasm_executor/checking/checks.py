"""The probes that need no instance of their own: httpGet, tcpSocket and grpc."""

from collections.abc import Collection
from typing import Final

from contract.messages.health import Grpc, HttpGet, TcpSocket
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.httpget import probe_http
from wasm_executor.checking.sockets import Holding, SocketHolders, not_held
from wasm_executor.checking.tcpsocket import probe_tcp
from wasm_executor.domain.checks import Verdict

ATTEMPTS: Final = 3
"""An error of the prober is tried again at once; a failure is the container's, and is not."""

type NetworkAction = HttpGet | TcpSocket | Grpc


async def check(action: NetworkAction, pod_ip: str, timeout_s: float) -> Finding:
    """Ask a container how it is. It takes `timeout_s` at most, thrice that where it errs."""
    finding = await _attempted(action, pod_ip, timeout_s)
    for _ in range(ATTEMPTS - 1):
        if finding.verdict is not Verdict.UNKNOWN:
            break
        finding = await _attempted(action, pod_ip, timeout_s)
    return finding


def not_own(
    action: NetworkAction, pod_ip: str, pids: Collection[int], holders: SocketHolders
) -> Finding | None:
    """Return the failure of a probe that another's process would answer; None lets it ask.

    Where nobody listens the probe itself finds the better words. A probe with a host of its own
    may mean any machine: it is none of this pod's sockets.
    """
    if not isinstance(action, Grpc) and action.host:
        return None
    if holders.holding(pod_ip, action.port, pids) is Holding.FOREIGN:
        return failure(not_held(action.port))
    return None


async def _attempted(action: NetworkAction, pod_ip: str, timeout_s: float) -> Finding:
    match action:
        case HttpGet():
            return await probe_http(action, pod_ip, timeout_s)
        case TcpSocket():
            return await probe_tcp(action, pod_ip, timeout_s)
        case Grpc():
            from wasm_executor.checking.grpchealth import probe_grpc

            return await probe_grpc(action, pod_ip, timeout_s)
