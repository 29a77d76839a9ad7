"""Listening sockets for a container that is served on its declared ports.

They are bound here and handed over, so that the container's process needs no right to bind, and a
port that another has is told before anything runs. The pod's network is its node's: the port is
taken on every address of the machine, in the family of the pod's own.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from wasm_executor.errors import ExecutorError

BACKLOG: Final = 4096
"""Connections that wait to be accepted, as far as the kernel allows."""


class PortNotBoundError(ExecutorError):
    """A declared port is another's, or not for this user; it may become free."""

    def __init__(self, port: int, reason: str) -> None:
        self.port = port
        super().__init__(f"cannot listen on port {port}: {reason}")


@contextmanager
def listening(ports: Sequence[int], pod_ip: str) -> Iterator[tuple[int, ...]]:
    """Listen while the block lasts, and for as long as whoever was given the descriptors does."""
    with ExitStack() as bound:
        yield tuple(bound.enter_context(_listener(port, pod_ip)).fileno() for port in ports)


def _listener(port: int, pod_ip: str) -> socket.socket:
    is_v6 = ":" in pod_ip
    listener = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::" if is_v6 else "0.0.0.0", port))  # noqa: S104 - a pod's port is open
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortNotBoundError(port, os.strerror(error.errno or 0).lower()) from error
    return listener
