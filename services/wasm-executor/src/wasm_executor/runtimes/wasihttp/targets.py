"""Where a handler's own request goes, once its host is allowed and looked up."""

import socket
import ssl
from collections.abc import Sequence
from typing import NamedTuple

type Address = tuple[socket.AddressFamily, str, int]


class Target(NamedTuple):
    """Where a request goes."""

    addresses: Sequence[Address]
    authority: str
    host: str
    tls: ssl.SSLContext | None
