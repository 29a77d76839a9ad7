"""What waits at a container's gate: it says hello, and the kernel vouches for who says it."""

import socket
import struct
from typing import Final

from wasm_executor.zygote.wire import HELLO

CREDENTIALS: Final = struct.Struct("3i")


def greeting(gate: socket.socket) -> int | None:
    """Return the pid of who says hello, as the kernel knows it; None if the gate is closed."""
    try:
        data, ancillary, _, _ = gate.recvmsg(16, socket.CMSG_SPACE(CREDENTIALS.size))
    except ConnectionResetError:
        return None
    for level, kind, content in ancillary:
        if data == HELLO and level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid: int = CREDENTIALS.unpack(content)[0]
            return pid
    return None
