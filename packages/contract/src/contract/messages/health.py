"""What a node does to a container to learn how it is, and at its two ends: probes and hooks."""

from typing import Final

import msgspec


class Exec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="exec"):
    """Run a command in the container's world; exit code 0 is success."""

    command: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Arguments may hold secrets, and a repr ends in logs.
        return f"Exec({len(self.command)} words)"


class HttpGet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="http_get"):
    """GET a path; a status from 200 to 399 is success. Without a host, the pod's address."""

    port: int
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"HttpGet(port={self.port}, ...)"  # headers may hold credentials


class TcpSocket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="tcp_socket"):
    """Open a connection and close it."""

    port: int
    host: str = ""


class Grpc(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="grpc"):
    """Ask `grpc.health.v1.Health/Check`; SERVING is success."""

    port: int
    service: str = ""


class Sleep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="sleep"):
    """Wait."""

    seconds: float = 0.0


type ProbeAction = Exec | HttpGet | TcpSocket | Grpc
type Hook = Exec | HttpGet | TcpSocket | Sleep
"""`lifecycle.postStart` or `lifecycle.preStop`. Kubernetes keeps a hook's tcpSocket only for old
objects: it always fails."""

DEFAULT_PERIOD_S: Final = 10.0
DEFAULT_TIMEOUT_S: Final = 1.0
DEFAULT_FAILURES: Final = 3


class Probe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`startupProbe`, `readinessProbe` or `livenessProbe`, with Kubernetes' defaults."""

    action: ProbeAction
    initial_delay_s: float = 0.0
    period_s: float = DEFAULT_PERIOD_S
    timeout_s: float = DEFAULT_TIMEOUT_S
    success_threshold: int = 1
    failure_threshold: int = DEFAULT_FAILURES
    termination_grace_s: float | None = None
    """The grace of a container that this probe kills; without it the pod's."""
