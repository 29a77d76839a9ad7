"""What the filter's program says of every call, by running it as the kernel would."""

import errno
import re
import struct
from pathlib import Path

import pytest

from wasm_executor.container.needs import ALL_SOCKETS, NOTHING, Need, Needs
from wasm_executor.container.seccomp import ALWAYS, MACHINES, NEEDED, OWN_PID, program
from wasm_executor.container.syscalls import AARCH64, NUMBERS, X86_64

ALLOWED = 0x7FFF_0000
KILLED = 0x8000_0000
REFUSED = 0x0005_0000 | errno.EPERM
MISSING = 0x0005_0000 | errno.ENOSYS
HEADERS = {
    X86_64: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    AARCH64: Path("/usr/include/asm-generic/unistd.h"),
}
"""aarch64 has the generic numbers."""
HIGHEST = 1024
NEW_USER_NAMESPACE = 0x1000_0000
A_THREAD = 0x003D_0F00
FASTOPEN = 0x2000_0000
A_FORK = 0x0120_0011
EVERYTHING: Needs = frozenset(Need)


def verdict(code: bytes, audit: int, number: int, *arguments: int) -> int:
    """Run the program, as the kernel's interpreter does."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, audit, 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", code))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = steps[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case _:
                assert operation == 0x06
                return int(operand)


def says(machine: str, needs: Needs, name: str, *arguments: int) -> int:
    known = MACHINES[machine]
    number = NUMBERS[name][known.place]
    assert number is not None
    return verdict(program(machine, needs), known.audit_number, number, *arguments)


@pytest.mark.parametrize("place", HEADERS)
def test_numbers_are_the_kernels_own(place: int) -> None:
    header = HEADERS[place]
    if not header.exists():
        pytest.skip(f"{header} is not here (linux-libc-dev)")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", re.MULTILINE)
    defined = {name: int(number) for name, number in pattern.findall(header.read_text())}
    if place == AARCH64:
        defined["newfstatat"] = defined["fstatat"]  # its name where it takes 64-bit offsets
    wrong = {
        name: pair[place] for name, pair in NUMBERS.items() if pair[place] != defined.get(name)
    }
    assert wrong == {}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("needs", [NOTHING, ALL_SOCKETS, EVERYTHING])
def test_exactly_what_the_tables_name_is_allowed_whatever_the_arguments(
    machine: str, needs: Needs
) -> None:
    known = MACHINES[machine]
    code = program(machine, needs)
    named = {name for names in ALWAYS.values() for name in names.split()}
    named |= {name for need in needs for name in NEEDED[need].split()}
    expected = {NUMBERS[name][known.place] for name in named} - {None}
    huge = [0xFFFF_FFFF_FFFF_FFFF] * 6
    allowed = {
        number
        for number in range(HIGHEST)
        if verdict(code, known.audit_number, number, *huge) == ALLOWED
    }
    assert allowed == expected
    for beyond in (HIGHEST, 0x4000_0000, 0x4000_0001, 0xFFFF_FFFF):  # the x32 calls among them
        assert verdict(code, known.audit_number, beyond) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_some_arguments_of_a_call_are_allowed_and_others_are_not(machine: str) -> None:
    def one(name: str, *arguments: int, needs: Needs = NOTHING) -> int:
        return says(machine, needs, name, *arguments)

    assert one("clone", A_THREAD) == ALLOWED
    assert one("clone", A_THREAD | NEW_USER_NAMESPACE) == REFUSED
    assert one("clone", A_FORK) == REFUSED
    assert one("clone", A_FORK, needs=EVERYTHING) == ALLOWED
    assert one("clone", A_FORK | NEW_USER_NAMESPACE, needs=EVERYTHING) == REFUSED
    assert one("clone3") == MISSING
    assert one("socket", 2, 0x80801) == REFUSED
    assert [one("socket", family, 1, needs=ALL_SOCKETS) for family in (2, 10)] == [ALLOWED] * 2
    for family, kind in ((1, 1), (16, 3), (17, 3), (2, 3), (40, 1)):  # unix, netlink, packet, raw
        assert one("socket", family, kind, needs=EVERYTHING) == REFUSED
    assert one("socketpair", 1, 0x80001, needs=EVERYTHING) == ALLOWED
    for family, kind in ((1, 2), (1, 5), (2, 1)):  # datagrams have addresses; a packet's pair too
        assert one("socketpair", family, kind, needs=EVERYTHING) == REFUSED
    for protocol in (132, 256, 262):  # SCTP, SMC, MPTCP
        assert one("socket", 2, 1, protocol, needs=EVERYTHING) == REFUSED
    for name, *before in (("sendto", 3, 0, 1), ("sendmsg", 3, 0), ("sendmmsg", 3, 0, 1)):
        assert one(name, *before, 0x4000, needs=EVERYTHING) == ALLOWED
        assert one(name, *before, FASTOPEN, needs=EVERYTHING) == REFUSED
    assert one("tgkill", OWN_PID, 1, 6) == ALLOWED
    assert one("tgkill", 1, 1, 6) == REFUSED
    assert one("kill", OWN_PID, 9, needs=EVERYTHING) == ALLOWED
    assert one("kill", 1, 9, needs=EVERYTHING) == REFUSED
    assert one("prlimit64", 0, 7, 0, 1) == ALLOWED
    assert one("prlimit64", 0, 7, 1 << 40, 1) == REFUSED
    assert one("prlimit64", 1, 7, 0, 1) == REFUSED
    assert one("utimensat", 3, 0) == ALLOWED
    assert one("utimensat", 3, 1 << 40) == REFUSED
    assert one("prctl", 15) == ALLOWED
    assert one("prctl", 4, 1) == REFUSED  # dumpable
    assert one("prctl", 1, 0, needs=EVERYTHING) == REFUSED  # no death with the parent
    assert one("prctl", 1, 9, needs=EVERYTHING) == ALLOWED
    assert one("fcntl", 3, 1030) == ALLOWED
    assert one("fcntl", 3, 8, 1) == REFUSED  # an owner, whom the kernel signals
    assert one("ioctl", 0, 0x5412) == REFUSED  # TIOCSTI


def test_call_in_another_machines_manner_kills() -> None:
    i386 = 0x4000_0003
    assert verdict(program("x86_64", EVERYTHING), i386, 20) == KILLED
