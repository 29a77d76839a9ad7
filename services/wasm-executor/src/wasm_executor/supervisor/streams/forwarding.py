"""A connection to a port of a pod: only to one that a process of the pod holds.

Pods of a node may share its network. A forward to any port of the machine would be a way around
every network policy, to other pods and to the node's own services.
"""

import errno
import os
import socket
from contextlib import suppress
from typing import Final

from contract.errors import CommandError
from wasm_executor.checking.sockets import Holding, SocketHolders, not_held
from wasm_executor.domain.pod import Pod
from wasm_executor.supervisor.streams.piping import Sink, Sources

_LOCAL: Final = ("127.0.0.1", "::1")


def connected_to(pod: Pod, port: int, holders: SocketHolders) -> tuple[Sources, Sink]:
    """Return both directions of a new connection, or raise `CommandError`."""
    address = _own_address(pod, port, holders)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        failed = connection.connect_ex((address, port))
        if failed not in (0, errno.EINPROGRESS):
            raise CommandError(500, _not_connected(port, os.strerror(failed)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading = os.dup(connection.fileno())
        return Sources(reading, None), Sink(connection.detach(), _half_close)


def _own_address(pod: Pod, port: int, holders: SocketHolders) -> str:
    """Return where the pod answers; the kubelet means localhost, and some listen elsewhere."""
    pids = [each.pid for each in pod.containers if each.pid is not None]
    found = set[Holding]()
    for address in (*_LOCAL, *filter(None, (pod.plan.pod_ip,))):
        holding = holders.holding(address, port, pids)
        if holding is Holding.OWN:
            return address
        found.add(holding)
    if Holding.FOREIGN in found:
        raise CommandError(500, not_held(port))
    raise CommandError(500, _not_connected(port, os.strerror(errno.ECONNREFUSED)))


def _not_connected(port: int, reason: str) -> str:
    return f"failed to connect to localhost:{port} inside the pod: {reason.lower()}"


def _half_close(fd: int) -> None:
    with socket.socket(fileno=fd) as connection, suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
