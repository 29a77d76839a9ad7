"""Which socket gets a connection to an address and port: the kernel is asked for the very one.

A lookup by netlink (`sock_diag`) costs the same with ten sockets and with ten thousand, where
/proc/net/tcp is written out whole, closed connections and all. The file is for kernels and
sandboxes without it. Both tell of the network that this process is in.
"""

import ipaddress
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import Final

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_LISTEN: Final = 10
_HEADER: Final = struct.Struct("=IHHII")
_QUESTION: Final = struct.Struct("=BBBxI2s2s16s16sI8s")
"""inet_diag_req_v2: family, protocol, extensions, states; then source and destination port and
address, interface, cookie."""
_FOUND: Final = struct.Struct("=BBxx48xIIIII")
"""inet_diag_msg: family, state; then the socket's names and counts, owner and inode."""
_ANSWER_BYTES: Final = 4096
_ANY_COOKIE: Final = b"\xff" * 8
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket."""

    inode: int
    uid: int
    """Whose process made it."""


class Listeners:
    """Asks the kernel; it holds one netlink socket."""

    def __init__(self) -> None:
        self._kernel: socket.socket | None = None
        with suppress(OSError):
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            self._kernel = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)

    def at(self, ip: str, port: int) -> Listener | None:
        """Return who is reached there; None if nobody."""
        if self._kernel is not None:
            try:
                return _asked(self._kernel, ip, port)
            except OSError:
                self.close()
        return listener_in_tables(ip, port)

    def close(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None


def _asked(kernel: socket.socket, ip: str, port: int) -> Listener | None:
    address = ipaddress.ip_address(ip).packed
    family = socket.AF_INET if len(address) == len(b"ipv4") else socket.AF_INET6
    source = struct.pack(">H", port)
    # The client that asks is nobody's: from port 0 there is no open connection to be found.
    question = _QUESTION.pack(
        family, socket.IPPROTO_TCP, 0, 1 << _LISTEN, source, b"\0\0", address, address, 0,
        _ANY_COOKIE,
    )  # fmt: skip
    size = _HEADER.size + len(question)
    kernel.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + question)
    return _answered(kernel.recv(_ANSWER_BYTES))


def _answered(answer: bytes) -> Listener | None:
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        (code,) = struct.unpack_from("=i", answer, _HEADER.size)
        if -code == ENOENT:
            return None
        raise OSError(-code, os.strerror(-code))
    *_, uid, inode = _FOUND.unpack_from(answer, _HEADER.size)
    return Listener(inode, uid)


def listener_in_tables(ip: str, port: int) -> Listener | None:
    """Read the kernel's tables: the address itself goes before any address."""
    target = ipaddress.ip_address(ip)
    found: dict[int, Listener] = {}
    for rank, table in enumerate(_TABLES):
        with suppress(FileNotFoundError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                where, _, at = fields[1].partition(":")
                if int(fields[3], 16) != _LISTEN or int(at, 16) != port:
                    continue
                bound = _address(where)
                if bound == target or bound.is_unspecified:
                    order = rank + 2 * bound.is_unspecified
                    found.setdefault(order, Listener(int(fields[9]), int(fields[7])))
    return found[min(found)] if found else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Each 32 bits of it are in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
