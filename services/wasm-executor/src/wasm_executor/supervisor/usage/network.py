"""What has come and gone over the interfaces of this node's network, as the kernel counts it.

Pods share it, so nothing is known of each. Left out are the loopback and what container engines add
on a machine: a kubelet leaves these out too.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contract.messages.usage import InterfaceUsage, NetworkUsage

COUNTERS: Final = Path("/proc/self/net/dev")
IGNORED: Final = ("lo", "veth", "docker", "nerdctl")
_NUMBERS: Final = 16


def read_network(counters: Path = COUNTERS) -> NetworkUsage | None:
    """Return what the kernel has counted; None where it cannot be read."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    interfaces = [found for line in lines if (found := _interface(line)) is not None]
    return NetworkUsage(at=datetime.now(UTC), interfaces=tuple(interfaces))


def _interface(line: str) -> InterfaceUsage | None:
    """Read `NAME: ` and its numbers: bytes, packets, errors, dropped and four more, each way."""
    name, _, rest = line.partition(":")
    name, numbers = name.strip(), rest.split()
    if len(numbers) < _NUMBERS or name.startswith(IGNORED):
        return None
    received, sent = numbers[:8], numbers[8:]
    return InterfaceUsage(
        name=name,
        received_bytes=int(received[0]),
        received_packets=int(received[1]),
        received_errors=int(received[2]),
        received_dropped=int(received[3]),
        sent_bytes=int(sent[0]),
        sent_packets=int(sent[1]),
        sent_errors=int(sent[2]),
        sent_dropped=int(sent[3]),
    )
