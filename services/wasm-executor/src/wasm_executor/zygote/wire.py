"""What keeper, zygote and a new container say to each other.

The keeper's SPAWN carries what the container will hold and says nothing else. The container says
HELLO at its gate, and goes on at GO: by then the keeper has recorded it.
"""

from typing import Final

import msgspec

READY: Final = b"ready"
SPAWN: Final = b"spawn"
HELLO: Final = b"hello"
GO: Final = b"go"


class Descriptors(msgspec.Struct, frozen=True, kw_only=True):
    """What the keeper made for one container, in the order in which it is sent."""

    stdin: int
    stdout: int
    stderr: int
    plan: int
    outcome: int
    gate: int
