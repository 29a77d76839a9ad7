"""Free ports that stay ours while a component is away.

They are taken below the range from which the kernel serves outgoing connections. A port of that
range could be in use by some client when its component is started again, and a client that keeps
trying such a port of its own machine ends up connected to itself.
"""

import random
import socket
from pathlib import Path

from controlplane.errors import ControlPlaneError, PortTakenError

LOWEST = 20_000
ATTEMPTS = 200


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens now."""
    rng = random.SystemRandom()
    highest = _first_outgoing_port() - 1
    free: list[int] = []
    for _ in range(ATTEMPTS):
        port = rng.randint(LOWEST, highest)
        if port not in free and _is_free(port):
            free.append(port)
        if len(free) == count:
            return free
    raise ControlPlaneError(f"found no {count} free ports between {LOWEST} and {highest}")


def require_free(port: int) -> None:
    """Raises PortTakenError with the kernel's reason where a program could not listen."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier one that fade out do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTakenError(port, error.strerror or str(error)) from error


def _first_outgoing_port() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        return max(int(text.split()[0]), LOWEST + 1000)
    except OSError:
        return 32_768


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
