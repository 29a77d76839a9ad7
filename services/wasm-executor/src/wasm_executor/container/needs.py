"""What a runtime may need beyond files and memory, in words that do not name system calls.

A runtime says so by an attribute `needs`; one without it needs nothing. Everything that is not
named stays closed for its containers, whatever their guest does to the process.
"""

from enum import StrEnum
from typing import Final


class Need(StrEnum):
    SERVE = "serve"
    """Take and answer connections on listening sockets that were handed over."""
    CONNECT = "connect"
    """Make TCP and UDP sockets, connect and send from them: names are looked up that way too."""
    LISTEN = "listen"
    """Make sockets and bind addresses of its own."""
    WORKERS = "workers"
    """Fork processes like itself and wait for them; they are signalled by nobody but the keeper."""

    PROGRAM = "program"
    """Start one program in its place: that of a runtime which is not ours."""


type Needs = frozenset[Need]
NOTHING: Final[Needs] = frozenset()
ALL_SOCKETS: Final[Needs] = frozenset({Need.SERVE, Need.CONNECT, Need.LISTEN})
"""Of a guest that has the network: `wasi:sockets` is all or nothing."""
