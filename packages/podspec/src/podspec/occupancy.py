"""What the pods of one Node take of it: amounts and ports, kept as sums.

Adding up all pods of a Node for each new one would be quadratic.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

import msgspec

from podspec.errors import QuantityError
from podspec.fitting import Amounts, pod_requests

ALL_ADDRESSES: Final = "0.0.0.0"  # noqa: S104 - what the API calls every address; nothing binds here


class HostPort(NamedTuple):
    """A port of the Node, as a container declares it."""

    address: str
    protocol: str
    number: int

    def collides_with(self, other: "HostPort") -> bool:
        """Whether only one of the two can be had."""
        overlap = self.address == other.address or ALL_ADDRESSES in (self.address, other.address)
        return overlap and (self.protocol, self.number) == (other.protocol, other.number)


class _Share(msgspec.Struct, frozen=True):
    amounts: Amounts
    ports: tuple[HostPort, ...]


class Occupancy:
    """See the module. Pods are told apart by their UIDs."""

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}
        self.total: Amounts = {}
        self._ports: Counter[HostPort] = Counter()

    def take(self, uid: str, pod: Mapping[str, Any]) -> None:
        """Count a pod in. One whose quantities cannot be read counts as nothing."""
        try:
            share = _Share(pod_requests(pod), tuple(host_ports(pod)))
        except QuantityError:
            return
        self.release(uid)
        self._shares[uid] = share
        self._ports.update(share.ports)
        for resource, amount in share.amounts.items():
            self.total[resource] = self.total.get(resource, Fraction(0)) + amount

    def counts(self, uid: str) -> bool:
        """Whether a pod is counted."""
        return uid in self._shares

    def release(self, uid: str) -> None:
        """Count a pod out; one that is not counted is no mistake."""
        share = self._shares.pop(uid, None)
        if share is None:
            return
        for resource, amount in share.amounts.items():
            self.total[resource] -= amount
        self._ports -= Counter(share.ports)

    def has_free(self, port: HostPort) -> bool:
        """Whether no pod declares this port."""
        return not any(port.collides_with(taken) for taken in self._ports)


def host_ports(pod: Mapping[str, Any]) -> Iterator[HostPort]:
    """The ports of the Node that a pod declares for as long as it lives."""
    spec = pod.get("spec") or {}
    sidecars = (
        each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
    )
    for container in (*sidecars, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if number := port.get("hostPort"):
                address, protocol = port.get("hostIP"), port.get("protocol")
                yield HostPort(address or ALL_ADDRESSES, protocol or "TCP", number)
