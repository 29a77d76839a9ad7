"""Which address of this machine an API server can reach.

The API server refuses loopback addresses of Nodes, so a wrong one must show at the start and not at
the first `kubectl logs`.
"""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Final

from log_server.errors import AddressError

_SIOCGIFADDR: Final = 0x8915
_IFREQ: Final = struct.Struct("256s")
# Documentation addresses: connecting a datagram socket sends nothing, it only asks the routes.
_BEYOND: Final = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET, "198.51.100.1"),
    (socket.AF_INET6, "2001:db8::1"),
)


def announced_address(wanted: str, *, static: bool) -> str:
    """Return the address to announce, or raise `AddressError`.

    Without a cluster nobody comes from outside, so it is loopback.
    """
    if wanted:
        return _checked(wanted, static=static)
    if static:
        return "127.0.0.1"
    for address in (*_routed(), *_of_interfaces()):
        if not _is_local(address):
            return address
    raise AddressError(
        "this machine has no address but loopback, which an API server refuses for a Node: "
        "set WASMLET_NODE_ADDRESS"
    )


def _checked(wanted: str, *, static: bool) -> str:
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError as error:
        raise AddressError(f"WASMLET_NODE_ADDRESS: {wanted!r} is no IP address") from error
    if address.is_unspecified or (_is_local(wanted) and not static):
        raise AddressError(f"WASMLET_NODE_ADDRESS: an API server refuses {wanted} for a Node")
    return str(address)


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified


def _routed() -> Iterator[str]:
    """The addresses from which this machine would speak to the world."""
    for family, beyond in _BEYOND:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((beyond, 9))
                yield probe.getsockname()[0]
            except OSError:
                continue


def _of_interfaces() -> Iterator[str]:
    """The IPv4 addresses of all interfaces: a machine may have no default route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, _IFREQ.pack(name.encode()))
            except OSError:
                continue
            yield socket.inet_ntoa(answer[20:24])
