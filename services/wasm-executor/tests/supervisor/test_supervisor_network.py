"""The node's network, from the kernel's own form."""

from pathlib import Path

from contract.messages.usage import InterfaceUsage
from wasm_executor.supervisor.usage.network import read_network

COUNTERS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0
  eth0: 1000 10 3 4 0 0 0 0 2000 20 7 8 0 0 0 0
veth12: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0
  bond:99 1 0 0 0 0 0 0 98 2 0 0 0 0 0 0
"""


def test_interfaces_are_told_but_for_the_loopback_and_those_of_engines(tmp_path: Path) -> None:
    counters = tmp_path / "dev"
    counters.write_text(COUNTERS)
    told = read_network(counters)
    assert told is not None
    first, second = told.interfaces
    assert first == InterfaceUsage(
        name="eth0",
        received_bytes=1000,
        received_packets=10,
        received_errors=3,
        received_dropped=4,
        sent_bytes=2000,
        sent_packets=20,
        sent_errors=7,
        sent_dropped=8,
    )
    assert (second.name, second.received_bytes, second.sent_packets) == ("bond", 99, 2)


def test_a_kernel_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    assert read_network(tmp_path / "none") is None


def test_the_kernels_own_form_is_read() -> None:
    assert read_network() is not None
