"""A small assembler for seccomp filters (classic BPF), as far as a table of system calls needs it.

A call's number is looked for by halving, so that a long table costs few steps: the kernel walks the
whole filter for each number when it is installed, and again on most calls. Code is a tuple of
instructions that only jump forward within itself, so pieces are put together by writing them one
behind the other; each piece ends in a verdict.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

type Code = tuple[tuple[int, int, int, int], ...]
"""`struct sock_filter`: operation, steps to skip if true, if false, operand."""

_LOAD: Final = 0x20
_AND: Final = 0x54
_JUMP: Final = 0x05
_JUMP_IF_EQUAL: Final = 0x15
_JUMP_IF_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_FARTHEST: Final = 255
_WHOLE: Final = 0xFFFF_FFFF
_INSTRUCTION: Final = struct.Struct("=HBBI")

_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16
"""Offsets in `struct seccomp_data`; an argument's lower half comes first (little-endian)."""

ALLOWED: Final[Code] = ((_RETURN, 0, 0, 0x7FFF_0000),)
KILLED: Final[Code] = ((_RETURN, 0, 0, 0x8000_0000),)


def refused(errno: int) -> Code:
    return ((_RETURN, 0, 0, 0x0005_0000 | errno),)


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """An argument whose masked lower 32 bits are one of the values; so many the kernel reads."""

    index: int
    values: tuple[int, ...]
    mask: int = _WHOLE


class NullPointer(msgspec.Struct, frozen=True, kw_only=True):
    """An argument all of whose 64 bits are zero."""

    index: int


type Condition = Argument | NullPointer


def allowed_if(conditions: Iterable[Condition], otherwise: Code) -> Code:
    """Allow a call where all conditions hold."""
    code = ALLOWED
    for condition in reversed(tuple(conditions)):
        code = _tested(condition, otherwise) + code
    return code


def _tested(condition: Condition, otherwise: Code) -> Code:
    """Run into what follows where the condition holds."""
    low = _ARGUMENTS + 8 * condition.index
    if isinstance(condition, NullPointer):
        return _one_of(low, (0,), otherwise) + _one_of(low + 4, (0,), otherwise)
    return _one_of(low, condition.values, otherwise, condition.mask)


def _one_of(offset: int, values: Sequence[int], otherwise: Code, mask: int = _WHOLE) -> Code:
    load: Code = ((_LOAD, 0, 0, offset),)
    if mask != _WHOLE:
        load += ((_AND, 0, 0, mask),)
    left = len(values) - 1 + len(otherwise)
    tests = tuple((_JUMP_IF_EQUAL, left - place, 0, value) for place, value in enumerate(values))
    return load + tests + otherwise


def by_number(cases: dict[int, Code], otherwise: Code) -> Code:
    """Go to a call's own code; the kernel's number is looked for by halving."""
    starts: list[tuple[int, Code]] = [(0, otherwise)]
    for number, code in sorted(cases.items()):
        starts = [*starts, (number, code), (number + 1, otherwise)]
    return ((_LOAD, 0, 0, _NUMBER), *_halved(_joined(starts)))


def _joined(starts: Iterable[tuple[int, Code]]) -> list[tuple[int, Code]]:
    """Make one range of neighbours with the same code; of two with one start the later counts."""
    latest = dict(starts)
    ranges: list[tuple[int, Code]] = []
    for start, code in sorted(latest.items()):
        if not ranges or ranges[-1][1] != code:
            ranges.append((start, code))
    return ranges


def _halved(ranges: Sequence[tuple[int, Code]]) -> Code:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _halved(ranges[:middle]), _halved(ranges[middle:])
    return (*_go_past(len(below), ranges[middle][0]), *below, *above)


def _go_past(steps: int, from_number: int) -> Code:
    if steps <= _FARTHEST:
        return ((_JUMP_IF_AT_LEAST, steps, 0, from_number),)
    return ((_JUMP_IF_AT_LEAST, 0, 1, from_number), (_JUMP, 0, 0, steps))


def on_architecture(audit_number: int, code: Code) -> Code:
    """Kill who calls the kernel in another machine's manner: the numbers would mean others."""
    load = (_LOAD, 0, 0, _ARCHITECTURE)
    return (load, (_JUMP_IF_EQUAL, 1, 0, audit_number), *KILLED, *code)


def assembled(code: Code) -> bytes:
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)
