"""Component values between their C form and Python's, by the types that are known beforehand.

wasmtime's binding asks for a value's type with each call and converts lists element by element:
1 ms per KiB of a body. A host function's types never change, so each `Type` here is a pair of
functions put together once. They read and write C's memory where it is, through one view of all of
it: each call by ctypes that is not made saves half a microsecond, and a request makes hundreds.

A value is 32 bytes in C: its kind at 0, from 8 on what it is. Strings, lists and boxes are made by
the library's own allocator, which frees them when it has taken the value.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from wasmtime import _ffi as wasmtime_c
from wasmtime import component as kinds

from wasm_executor.runtimes.wasihttp.library import (
    MEMORY,
    move_away,
    new_bytes,
    new_flags,
    new_list,
    new_record,
    new_tuple,
)
from wasm_executor.runtimes.wasihttp.shapes import Shape

SIZE: Final = 32
ENTRY_SIZE: Final = 48
"""Of a record's field: its name, then its value."""
_AT: Final = 8
_PIECE: Final = 16 * 1024
"""Elements of a list that are copied at once: their C form is 32 times as large."""
_FEW: Final = 64
"""Bytes that are sooner written one by one than laid out first."""

_two: Final = struct.Struct("<QQ").unpack_from
_one: Final = struct.Struct("<Q").unpack_from
_scalar: Final = struct.Struct("<B7xQ").pack_into
_signed: Final = struct.Struct("<B7xq").pack_into
_pair: Final = struct.Struct("<B7xQQ").pack_into


class Ok(NamedTuple):
    """The good case of a `result`."""

    value: Any = None


class Err(NamedTuple):
    """The other case."""

    value: Any = None


class Case(NamedTuple):
    """One case of a `variant`."""

    tag: str
    value: Any = None


class Type(NamedTuple):
    """How one type is read and written. `context` is the store's: resources live in it."""

    read: Callable[[int, int], Any]
    """From the address of a C value."""
    write: Callable[[int, Any, int], None]
    """To the address of one."""
    shape: Shape
    """What `read` takes it for."""


def _number(kind: int, of: str, shape: Shape, *, signed: bool = False) -> Type:
    pack, unpack = _signed if signed else _scalar, struct.Struct(of).unpack_from

    def read(at: int, _context: int) -> int:
        number: int = unpack(MEMORY, at + _AT)[0]
        return number

    return Type(read, lambda at, value, _context: pack(MEMORY, at, kind, value), shape)


def _read_name(at: int) -> bytes:
    size, data = _two(MEMORY, at)
    return bytes(MEMORY[data : data + size])


def _read_string(at: int, _context: int) -> str:
    size, data = _two(MEMORY, at + _AT)
    return str(MEMORY[data : data + size], "utf-8")


def _writes_name(kind: int) -> Callable[[int, str, int], None]:
    def write(at: int, value: str, _context: int) -> None:
        encoded = value.encode()
        MEMORY[at] = kind
        new_bytes(at + _AT, len(encoded), encoded)

    return write


def _read_bytes(at: int, _context: int) -> bytes:
    size, data = _two(MEMORY, at + _AT)
    if size <= _PIECE:
        return bytes(MEMORY[data : data + size * SIZE])[_AT::SIZE]
    ends = range(data, data + size * SIZE, _PIECE * SIZE), data + size * SIZE
    return b"".join(
        bytes(MEMORY[start : min(start + _PIECE * SIZE, ends[1])])[_AT::SIZE] for start in ends[0]
    )


def _write_bytes(at: int, value: bytes, _context: int) -> None:
    size = len(value)
    MEMORY[at] = _LIST_KIND
    new_list(at + _AT, size)
    (data,) = _one(MEMORY, at + 2 * _AT)
    if size <= _FEW:
        MEMORY[data : data + size * SIZE : SIZE] = _U8_KINDS[:size]
        MEMORY[data + _AT : data + _AT + size * SIZE : SIZE] = value
        return
    for start in range(0, size, _PIECE):
        piece = value[start : start + _PIECE]
        raw = bytearray(len(piece) * SIZE)
        raw[::SIZE] = _U8_KINDS[: len(piece)]
        raw[_AT::SIZE] = piece
        to = data + start * SIZE
        MEMORY[to : to + len(raw)] = raw


_U8_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_U8.value
_U8_KINDS: Final = bytes((_U8_KIND,)) * _PIECE
_LIST_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_LIST.value


def _shape(item: Type | None) -> Shape | None:
    return None if item is None else item.shape


def list_of(item: Type) -> Type:
    def read(at: int, context: int) -> list[Any]:
        size, data = _two(MEMORY, at + _AT)
        return [item.read(each, context) for each in range(data, data + size * SIZE, SIZE)]

    def write(at: int, value: list[Any], context: int) -> None:
        MEMORY[at] = _LIST_KIND
        new_list(at + _AT, len(value))
        (data,) = _one(MEMORY, at + 2 * _AT)
        for each in value:
            item.write(data, each, context)
            data += SIZE

    return Type(read, write, Shape(kinds.ListType, (("", item.shape),)))


def tuple_of(*items: Type) -> Type:
    kind, size = wasmtime_c.WASMTIME_COMPONENT_TUPLE.value, len(items)

    def read(at: int, context: int) -> tuple[Any, ...]:
        (data,) = _one(MEMORY, at + 2 * _AT)
        return tuple(item.read(data + n * SIZE, context) for n, item in enumerate(items))

    def write(at: int, value: tuple[Any, ...], context: int) -> None:
        MEMORY[at] = kind
        new_tuple(at + _AT, size)
        (data,) = _one(MEMORY, at + 2 * _AT)
        for item, each in zip(items, value, strict=True):
            item.write(data, each, context)
            data += SIZE

    return Type(read, write, Shape(kinds.TupleType, tuple(("", item.shape) for item in items)))


def record_of(**fields: Type) -> Type:
    """Return the type of a record, which is a tuple in Python; `_` stands for a name's `-`."""
    names = [name.replace("_", "-").encode() for name in fields]
    items, kind = tuple(fields.values()), wasmtime_c.WASMTIME_COMPONENT_RECORD.value

    def read(at: int, context: int) -> tuple[Any, ...]:
        (data,) = _one(MEMORY, at + 2 * _AT)
        starts = range(data + _NAME, data + len(items) * ENTRY_SIZE, ENTRY_SIZE)
        pairs = zip(items, starts, strict=True)
        return tuple(item.read(start, context) for item, start in pairs)

    def write(at: int, value: tuple[Any, ...], context: int) -> None:
        MEMORY[at] = kind
        new_record(at + _AT, len(items))
        (data,) = _one(MEMORY, at + 2 * _AT)
        for name, item, each in zip(names, items, value, strict=True):
            new_bytes(data, len(name), name)
            item.write(data + _NAME, each, context)
            data += ENTRY_SIZE

    parts = tuple((n.decode(), item.shape) for n, item in zip(names, items, strict=True))
    return Type(read, write, Shape(kinds.RecordType, parts))


_NAME: Final = 16
"""The size of a name: its length, and where it is."""


def option_of(item: Type) -> Type:
    kind = wasmtime_c.WASMTIME_COMPONENT_OPTION.value

    def read(at: int, context: int) -> Any:
        (box,) = _one(MEMORY, at + _AT)
        return item.read(box, context) if box else None

    def write(at: int, value: Any, context: int) -> None:
        box = 0
        if value is not None:
            item.write(at, value, context)
            box = move_away(at)
        _scalar(MEMORY, at, kind, box)

    return Type(read, write, Shape(kinds.OptionType, (("", item.shape),)))


def result_of(good: Type | None = None, bad: Type | None = None) -> Type:
    """Return the type of `Ok` and `Err`."""
    kind = wasmtime_c.WASMTIME_COMPONENT_RESULT.value

    def read(at: int, context: int) -> Ok | Err:
        is_ok = bool(MEMORY[at + _AT])
        item = good if is_ok else bad
        (box,) = _one(MEMORY, at + 2 * _AT)
        value = item.read(box, context) if item and box else None
        return Ok(value) if is_ok else Err(value)

    def write(at: int, value: Ok | Err, context: int) -> None:
        is_ok = isinstance(value, Ok)
        item, box = good if is_ok else bad, 0
        if item is not None:
            item.write(at, value.value, context)
            box = move_away(at)
        _pair(MEMORY, at, kind, is_ok, box)

    return Type(read, write, Shape(kinds.ResultType, (("ok", _shape(good)), ("err", _shape(bad)))))


def variant_of(**cases: Type | None) -> Type:
    """Return the type of a `Case`; `_` stands for a tag's `-`, and ends a tag that is a keyword."""
    types = {name.strip("_").replace("_", "-"): item for name, item in cases.items()}
    kind = wasmtime_c.WASMTIME_COMPONENT_VARIANT.value

    def read(at: int, context: int) -> Case:
        tag = _read_string(at, context)
        item, (box,) = types[tag], _one(MEMORY, at + 3 * _AT)
        return Case(tag, item.read(box, context) if item and box else None)

    def write(at: int, value: Case, context: int) -> None:
        item, box, tag = types[value.tag], 0, value.tag.encode()
        if item is not None:
            item.write(at, value.value, context)
            box = move_away(at)
        _scalar(MEMORY, at + 2 * _AT, 0, box)
        MEMORY[at] = kind
        new_bytes(at + _AT, len(tag), tag)

    parts = tuple((tag, _shape(item)) for tag, item in types.items())
    return Type(read, write, Shape(kinds.VariantType, parts))


def _read_flags(at: int, _context: int) -> frozenset[str]:
    size, data = _two(MEMORY, at + _AT)
    return frozenset(_read_name(data + n * _NAME).decode() for n in range(size))


def _write_flags(at: int, value: Iterable[str], _context: int) -> None:
    names = [each.encode() for each in value]
    MEMORY[at] = wasmtime_c.WASMTIME_COMPONENT_FLAGS.value
    new_flags(at + _AT, len(names))
    (data,) = _one(MEMORY, at + 2 * _AT)
    for number, name in enumerate(names):
        new_bytes(data + number * _NAME, len(name), name)


BOOL: Final = Type(
    lambda at, _context: bool(MEMORY[at + _AT]),
    lambda at, value, _context: _scalar(
        MEMORY, at, wasmtime_c.WASMTIME_COMPONENT_BOOL.value, value
    ),
    Shape(kinds.Bool),
)
U8: Final = _number(_U8_KIND, "<B", Shape(kinds.U8))
U16: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U16.value, "<H", Shape(kinds.U16))
U32: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U32.value, "<I", Shape(kinds.U32))
U64: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U64.value, "<Q", Shape(kinds.U64))
S64: Final = _number(wasmtime_c.WASMTIME_COMPONENT_S64.value, "<q", Shape(kinds.S64), signed=True)
STRING: Final = Type(
    _read_string, _writes_name(wasmtime_c.WASMTIME_COMPONENT_STRING.value), Shape(kinds.String)
)
FLAGS: Final = Type(_read_flags, _write_flags, Shape(kinds.FlagsType))
ENUM: Final = Type(
    _read_string, _writes_name(wasmtime_c.WASMTIME_COMPONENT_ENUM.value), Shape(kinds.EnumType)
)
BYTES: Final = Type(_read_bytes, _write_bytes, Shape(kinds.ListType, (("", U8.shape),)))
