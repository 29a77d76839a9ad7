"""Where handlers' own requests may go: nowhere, but for what the pod names and the node lets it.

A rule is a host (`HOST`, `*.SUFFIX`, `*` or an address) and perhaps a port (`HOST:PORT`, `HOST:*`
for all); without one it means 80 and 443. A name may stand for any address, so what it stands for
is looked at too: this machine's loopback, link-local addresses (where clouds keep their metadata)
and such are open only to a rule of both sides that names the very address.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

DEFAULT_PORTS: Final = (80, 443)
ANY: Final = "*"
METADATA: Final = frozenset(
    ipaddress.ip_address(each)
    for each in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Where clouds keep what is theirs, beside link-local addresses: Amazon, Alibaba, Azure, Oracle."""
_IPV4_AT_ITS_END: Final = (
    ipaddress.IPv6Network("::ffff:0:0/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
)
"""IPv4 as IPv6 has it, and what a translator at a network's edge takes for it."""

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Rule(NamedTuple):
    """One entry of a list."""

    host: str
    ports: tuple[int, ...] | None
    """None: all of them."""

    def covers(self, host: str, port: int) -> bool:
        return self.covers_port(port) and (
            self.host in (ANY, host)
            or (self.host.startswith("*.") and host.endswith(self.host[1:]))
        )

    def covers_port(self, port: int) -> bool:
        return self.ports is None or port in self.ports


def rules_of(texts: Iterable[str]) -> tuple[Rule, ...]:
    """Read a list; what is no rule allows nothing."""
    return tuple(Rule(*_parts(text.strip().lower())) for text in texts)


def _parts(text: str) -> tuple[str, tuple[int, ...] | None]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not port:
        return host, DEFAULT_PORTS
    if port == ANY:
        return host, None
    return host, (int(port),) if port.isascii() and port.isdigit() else ()


class Policy:
    """Both sides' rules: each has to allow a request."""

    def __init__(self, pod: Iterable[str], node: Iterable[str]) -> None:
        self._sides = (rules_of(pod), rules_of(node))

    def permits(self, host: str, port: int) -> bool:
        """Whether a request to this host may be made at all."""
        return all(any(each.covers(host, port) for each in side) for side in self._sides)

    def permits_address(self, text: str, port: int) -> bool:
        """Whether a connection to this address may be made, whatever name led there."""
        address = ipaddress.ip_address(text.partition("%")[0])
        if not _is_special(address):
            return True
        return all(
            any(each.host == str(address) and each.covers_port(port) for each in side)
            for side in self._sides
        )


def _is_special(address: Address) -> bool:
    return any(
        each.is_loopback
        or each.is_link_local
        or each.is_multicast
        or each.is_unspecified
        or each.is_reserved
        or each in METADATA
        for each in _meant_by(address)
    )


def _meant_by(address: Address) -> list[Address]:
    """Return what packets to an address may reach: it, and one that lies within it.

    A gateway between IPv6 and IPv4 takes the latter out of the former.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if any(address in each for each in _IPV4_AT_ITS_END):
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    within = address.sixtofour
    return [address] if within is None else [address, within]
