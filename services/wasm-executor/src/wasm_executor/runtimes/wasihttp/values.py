"""Component values between their C form and Python's, by the types that are known beforehand.

wasmtime's binding asks for a value's type with each call and converts lists element by element:
1 ms per KiB of a body. A host function's types never change, so each `Type` here is a pair of
functions put together once, and bytes are copied by the stride of C's array: 15 ms per MiB.

A value is 32 bytes in C: its kind at 0, from 8 on what it is. Strings, lists and boxes are made by
the library's own allocator, which frees them when it has taken the value.
"""

import ctypes
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from wasmtime import _ffi as wasmtime_c

SIZE: Final = 32
ENTRY_SIZE: Final = 48
"""Of a record's field: its name, then its value."""
_AT: Final = 8
_PIECE: Final = 16 * 1024
"""Elements of a list that are copied at once: their C form is 32 times as large."""

_string_at: Final = ctypes.string_at
_pointers: Final = struct.Struct("<QQ")
_two: Final = _pointers.unpack_from
_one: Final = struct.Struct("<Q").unpack_from
_scalar: Final = struct.Struct("<B7xQ16x")
_signed: Final = struct.Struct("<B7xq16x")
_pair: Final = struct.Struct("<B7xQQ8x")
_triple: Final = struct.Struct("<B7xQQQ")
_named: Final = struct.Struct("<QQ")

# The interpreter's lock is kept over these: each takes less time than letting it go.
_LIBRARY: Final = wasmtime_c.dll._name  # noqa: SLF001 - ctypes' documented attribute
_quick: Final = ctypes.PyDLL(_LIBRARY)
_slow: Final = ctypes.CDLL(_LIBRARY)


def quick(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return one of the library's functions that never waits and never calls back."""
    function = _quick[name]
    function.restype, function.argtypes = result, arguments
    return function


def slow(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return one that runs a guest: other threads go on meanwhile."""
    function = _slow[name]
    function.restype, function.argtypes = result, arguments
    return function


delete: Final = quick("wasmtime_component_val_delete", None, ctypes.c_void_p)
"""Frees what hangs on a value."""
# It takes what it is given away, out of the bytes themselves: they must be nobody else's.
_box: Final = quick("wasmtime_component_val_new", ctypes.c_void_p, ctypes.c_char_p)
_new_bytes: Final = quick(
    "wasm_byte_vec_new", None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
)
_new_list: Final = quick(
    "wasmtime_component_vallist_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
_new_tuple: Final = quick(
    "wasmtime_component_valtuple_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)
_new_record: Final = quick(
    "wasmtime_component_valrecord_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)


_new_flags: Final = quick(
    "wasmtime_component_valflags_new_uninit", None, ctypes.c_void_p, ctypes.c_size_t
)


class _Vector(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("data", ctypes.c_size_t))
    size: int
    data: int


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

    read: Callable[[bytes, int, int], Any]
    """From the bytes of a C value at an offset."""
    write: Callable[[Any, int], bytes]
    """To the 32 bytes of one."""


def _number(kind: int, width: int, *, signed: bool = False) -> Type:
    packed = (_signed if signed else _scalar).pack

    def read(raw: bytes, at: int, _context: int) -> int:
        return int.from_bytes(raw[at + _AT : at + _AT + width], "little", signed=signed)

    return Type(read, lambda value, _context: packed(kind, value))


def _named_bytes(text: bytes) -> tuple[int, int]:
    made = _Vector()
    _new_bytes(ctypes.byref(made), len(text), text)
    return made.size, made.data


def _read_string(raw: bytes, at: int, _context: int) -> str:
    size, data = _two(raw, at + _AT)
    return _string_at(data, size).decode() if size else ""


def _writes_name(kind: int) -> Callable[[str, int], bytes]:
    return lambda value, _context: _pair.pack(kind, *_named_bytes(value.encode()))


def _read_bytes(raw: bytes, at: int, _context: int) -> bytes:
    size, data = _two(raw, at + _AT)
    if size <= _PIECE:
        return _string_at(data, size * SIZE)[_AT::SIZE]
    return b"".join(
        _string_at(data + start * SIZE, min(_PIECE, size - start) * SIZE)[_AT::SIZE]
        for start in range(0, size, _PIECE)
    )


def _write_bytes(value: bytes, _context: int) -> bytes:
    made = _Vector()
    size = len(value)
    _new_list(ctypes.byref(made), size)
    for start in range(0, size, _PIECE):
        piece = value[start : start + _PIECE]
        raw = bytearray(len(piece) * SIZE)
        raw[::SIZE] = bytes((_U8_KIND,)) * len(piece)
        raw[_AT::SIZE] = piece
        ctypes.memmove(made.data + start * SIZE, bytes(raw), len(raw))
    return _pair.pack(_LIST_KIND, made.size, made.data)


def _writes_array(kind: int, new: Callable[..., Any]) -> Callable[[list[bytes]], bytes]:
    def write(parts: list[bytes]) -> bytes:
        made = _Vector()
        new(ctypes.byref(made), len(parts))
        raw = b"".join(parts)
        ctypes.memmove(made.data, raw, len(raw))
        return _pair.pack(kind, made.size, made.data)

    return write


_U8_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_U8.value
_LIST_KIND: Final = wasmtime_c.WASMTIME_COMPONENT_LIST.value
_list: Final = _writes_array(_LIST_KIND, _new_list)
_tuple: Final = _writes_array(wasmtime_c.WASMTIME_COMPONENT_TUPLE.value, _new_tuple)
_record: Final = _writes_array(wasmtime_c.WASMTIME_COMPONENT_RECORD.value, _new_record)


def list_of(item: Type) -> Type:
    def read(raw: bytes, at: int, context: int) -> list[Any]:
        size, data = _two(raw, at + _AT)
        block = _string_at(data, size * SIZE)
        return [item.read(block, start, context) for start in range(0, size * SIZE, SIZE)]

    return Type(read, lambda value, context: _list([item.write(each, context) for each in value]))


def tuple_of(*items: Type) -> Type:
    def read(raw: bytes, at: int, context: int) -> tuple[Any, ...]:
        block = _string_at(_two(raw, at + _AT)[1], len(items) * SIZE)
        return tuple(item.read(block, n * SIZE, context) for n, item in enumerate(items))

    def write(value: tuple[Any, ...], context: int) -> bytes:
        pairs = zip(items, value, strict=True)
        return _tuple([item.write(each, context) for item, each in pairs])

    return Type(read, write)


def record_of(**fields: Type) -> Type:
    """Return the type of a record, which is a tuple in Python; `_` stands for a name's `-`."""
    names = [name.replace("_", "-").encode() for name in fields]
    items = tuple(fields.values())

    def read(raw: bytes, at: int, context: int) -> tuple[Any, ...]:
        block = _string_at(_two(raw, at + _AT)[1], len(items) * ENTRY_SIZE)
        offsets = range(16, len(items) * ENTRY_SIZE, ENTRY_SIZE)
        return tuple(
            item.read(block, start, context) for item, start in zip(items, offsets, strict=True)
        )

    def write(value: tuple[Any, ...], context: int) -> bytes:
        entries = zip(names, items, value, strict=True)
        return _record(
            [
                _named.pack(*_named_bytes(name)) + item.write(each, context)
                for name, item, each in entries
            ]
        )

    return Type(read, write)


def option_of(item: Type) -> Type:
    kind = wasmtime_c.WASMTIME_COMPONENT_OPTION.value

    def read(raw: bytes, at: int, context: int) -> Any:
        (box,) = _one(raw, at + _AT)
        return item.read(_string_at(box, SIZE), 0, context) if box else None

    def write(value: Any, context: int) -> bytes:
        return _scalar.pack(kind, 0 if value is None else _box(item.write(value, context)))

    return Type(read, write)


def result_of(good: Type | None = None, bad: Type | None = None) -> Type:
    """Return the type of `Ok` and `Err`."""
    kind = wasmtime_c.WASMTIME_COMPONENT_RESULT.value

    def read(raw: bytes, at: int, context: int) -> Ok | Err:
        is_ok = bool(raw[at + _AT])
        item = good if is_ok else bad
        (box,) = _one(raw, at + 2 * _AT)
        value = item.read(_string_at(box, SIZE), 0, context) if item and box else None
        return Ok(value) if is_ok else Err(value)

    def write(value: Ok | Err, context: int) -> bytes:
        is_ok = isinstance(value, Ok)
        item = good if is_ok else bad
        box = _box(item.write(value.value, context)) if item else 0
        return _pair.pack(kind, is_ok, box)

    return Type(read, write)


def variant_of(**cases: Type | None) -> Type:
    """Return the type of a `Case`; `_` stands for a tag's `-`, and ends a tag that is a keyword."""
    types = {name.strip("_").replace("_", "-"): item for name, item in cases.items()}
    kind = wasmtime_c.WASMTIME_COMPONENT_VARIANT.value

    def read(raw: bytes, at: int, context: int) -> Case:
        tag = _read_string(raw, at, context)
        item, (box,) = types[tag], _one(raw, at + 3 * _AT)
        value = item.read(_string_at(box, SIZE), 0, context) if item and box else None
        return Case(tag, value)

    def write(value: Case, context: int) -> bytes:
        item = types[value.tag]
        box = _box(item.write(value.value, context)) if item else 0
        return _triple.pack(kind, *_named_bytes(value.tag.encode()), box)

    return Type(read, write)


BOOL: Final = Type(
    lambda raw, at, _context: bool(raw[at + _AT]),
    lambda value, _context: _scalar.pack(wasmtime_c.WASMTIME_COMPONENT_BOOL.value, value),
)
U8: Final = _number(_U8_KIND, 1)
U16: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U16.value, 2)
U32: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U32.value, 4)
U64: Final = _number(wasmtime_c.WASMTIME_COMPONENT_U64.value, 8)
S64: Final = _number(wasmtime_c.WASMTIME_COMPONENT_S64.value, 8, signed=True)


def _read_flags(raw: bytes, at: int, _context: int) -> frozenset[str]:
    size, data = _two(raw, at + _AT)
    names = _string_at(data, size * _named.size)
    pairs = _named.iter_unpack(names)
    return frozenset(_string_at(text, length).decode() for length, text in pairs)


def _write_flags(value: Iterable[str], _context: int) -> bytes:
    return _flags([_named.pack(*_named_bytes(each.encode())) for each in value])


_flags: Final = _writes_array(wasmtime_c.WASMTIME_COMPONENT_FLAGS.value, _new_flags)
STRING: Final = Type(_read_string, _writes_name(wasmtime_c.WASMTIME_COMPONENT_STRING.value))
FLAGS: Final = Type(_read_flags, _write_flags)
ENUM: Final = Type(_read_string, _writes_name(wasmtime_c.WASMTIME_COMPONENT_ENUM.value))
BYTES: Final = Type(_read_bytes, _write_bytes)
