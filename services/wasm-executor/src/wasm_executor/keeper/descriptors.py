"""Descriptors that travel between processes, and none that travels by accident.

`socket.recv_fds` takes flags and ignores them (CPython 3.13), so what it receives would be
inherited by every child: a zygote would hold sockets that carry plans.
"""

import array
import os
import socket
from collections.abc import Collection, Iterable

FIRST_AFTER_STDIO = 3
LAST = 2**31 - 1


def receive(
    connection: socket.socket, size: int, most_fds: int, flags: int = 0
) -> tuple[bytes, list[int]]:
    """Take one message and its descriptors, none of them inheritable."""
    fds = array.array("i")
    room = socket.CMSG_LEN(most_fds * fds.itemsize)
    data, ancillary, _, _ = connection.recvmsg(size, room, flags | socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return data, list(fds)


def send_what_fits(connection: socket.socket, data: bytes, fds: Collection[int] = ()) -> bytes:
    """Send what the socket takes at once, descriptors first; return the rest."""
    try:
        return data[socket.send_fds(connection, [data], list(fds)) :]
    except BlockingIOError:
        return data


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor above stdio that is not named."""
    first = FIRST_AFTER_STDIO
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, LAST)
