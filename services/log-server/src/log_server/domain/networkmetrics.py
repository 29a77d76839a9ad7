"""`container_network_*` of the node: pods share its network, so cAdvisor's root has all of it."""

from collections.abc import Callable
from typing import Final

from contract.messages.usage import InterfaceUsage
from log_server.domain.exposition import Family, Kind, Sample
from log_server.domain.nodeusage import NodeUsage, milliseconds

type _Value = Callable[[InterfaceUsage], int]

_ROOT: Final = {"container": "", "id": "/", "image": "", "name": "", "namespace": "", "pod": ""}
_SERIES: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("receive_bytes_total", "bytes received", lambda each: each.received_bytes),
    ("receive_packets_total", "packets received", lambda each: each.received_packets),
    ("receive_errors_total", "errors encountered while receiving", lambda e: e.received_errors),
    (
        "receive_packets_dropped_total",
        "packets dropped while receiving",
        lambda each: each.received_dropped,
    ),
    ("transmit_bytes_total", "bytes transmitted", lambda each: each.sent_bytes),
    ("transmit_packets_total", "packets transmitted", lambda each: each.sent_packets),
    ("transmit_errors_total", "errors encountered while transmitting", lambda e: e.sent_errors),
    (
        "transmit_packets_dropped_total",
        "packets dropped while transmitting",
        lambda each: each.sent_dropped,
    ),
)


def network_metrics(node: NodeUsage) -> list[Family]:
    """Return all families."""
    network = node.shown.network
    if network is None:
        return []
    return [
        Family(
            f"container_network_{name}",
            f"Cumulative count of {what}",
            Kind.COUNTER,
            [
                Sample(value(each), _ROOT | {"interface": each.name}, milliseconds(network.at))
                for each in network.interfaces
            ],
        )
        for name, what, value in _SERIES
    ]
