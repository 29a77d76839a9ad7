"""What keeper, zygote and a new container say to each other.

The keeper's SPAWN carries what the container will hold and says nothing else; whichever spare
takes it is the container. It says HELLO at its gate, prepares itself, and goes on at GO: by then
the keeper has recorded it.
"""

import os
import socket
from typing import Final, Self

import msgspec

from wasm_executor.keeper.descriptors import receive

READY: Final = b"ready"
SPAWN: Final = b"spawn"
HELLO: Final = b"hello"
GO: Final = b"go"

REHEARSED: Final = "rehearsed"
PLAIN: Final = "plain"
"""What the zygote's argument says: whether it goes through a start before it forks."""


class Descriptors(msgspec.Struct, frozen=True, kw_only=True):
    """What the keeper made for one container, in the order in which it is sent."""

    stdin: int
    stdout: int
    stderr: int
    plan: int
    outcome: int
    gate: int

    @classmethod
    def of(cls, fds: list[int]) -> Self:
        return cls(**dict(zip(cls.__struct_fields__, fds, strict=True)))

    def close(self) -> None:
        for descriptor in msgspec.structs.astuple(self):
            os.close(descriptor)


def receive_order(orders: socket.socket, flags: int = 0) -> Descriptors | None:
    """Take one order; None where there is none, now or ever again."""
    try:
        message, fds = receive(orders, len(SPAWN), len(Descriptors.__struct_fields__), flags)
    except BlockingIOError:
        return None
    return Descriptors.of(fds) if message else None
