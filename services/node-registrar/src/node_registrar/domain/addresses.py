"""Which announced addresses may stand in a Node.

The API server's node proxy and EndpointSlices refuse loopback and link-local ones, and whoever
announces one would have the API server call itself.
"""

from ipaddress import ip_address

import msgspec


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log-server listens for one Node, and how to recognise it."""

    address: str
    port: int
    certificate_sha256: str


def replaces(
    new: Endpoint, present: Endpoint | None, present_heard_s: float | None, tolerance_s: float
) -> bool:
    """Say whether an announcement takes the place of the present endpoint.

    Two servers that announce one node (a cloned machine) must not make its address flap: another
    address waits until the present one has been silent; None for one that was never heard.
    """
    if present is None or present_heard_s is None or new.address == present.address:
        return True
    return present_heard_s >= tolerance_s


def refusal_of(endpoint: Endpoint) -> str | None:
    """Return why this endpoint cannot stand in a Node, None when it can."""
    try:
        address = ip_address(endpoint.address)
    except ValueError:
        return f"{endpoint.address!r} is not an IP address"
    kinds = {
        "loopback": address.is_loopback,
        "unspecified": address.is_unspecified,
        "multicast": address.is_multicast,
        "link-local": address.is_link_local,
    }
    for kind, applies in kinds.items():
        if applies:
            return f"{endpoint.address} is a {kind} address"
    if not 0 < endpoint.port < 65536:  # noqa: PLR2004 - the ports there are
        return f"{endpoint.port} is not a port"
    return None
